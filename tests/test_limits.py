"""Every number that a person states has a range: beyond it the answer is a sentence, not a program that runs on."""

import math
import types
import typing
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import limits, simulation
from overread.cohort import CohortConfig
from overread.cohort.reader_samples import SampleConfig
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.images.deidentification.profile import Deidentification
from overread.images.recipe.pixel_recipe import Recipe
from overread.limits import is_number, outside
from overread.protocol import Expected, plan
from overread.protocol.schema import Study
from overread.training.training_config import Augmentation, TrainingConfig

CONFIGURATIONS = (CohortConfig, SampleConfig, EvaluationConfig, TrainingConfig, Recipe, Deidentification)
ABSURD = (10**11, 10**400, 10**5000, -(10**11), 1e300, -1e300, math.inf, -math.inf, math.nan)


def repr_of(value):
    return f"{value:.0e}" if isinstance(value, float) else f"{value.bit_length()} bits, {'-' if value < 0 else '+'}"


def numeric(kind):
    """The fields of a configuration that hold numbers, with how a value is put into them."""
    hints = typing.get_type_hints(kind)
    return [(f.name, shape) for f in fields(kind) if (shape := _shape(hints[f.name], f.name)) is not None]


def _shape(hint, name):
    if hint in (int, float):
        return lambda v: v
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and any(
        p in (int, float) or {int, float} & set(typing.get_args(p)) for p in parts
    ):
        return (lambda v: (v,)) if parts[-1] is Ellipsis else (lambda v: (v,) * len(parts))
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and {int, float} & set(parts):
        return lambda v: v
    return None


FIELDS = [(kind, name, shape) for kind in CONFIGURATIONS for name, shape in numeric(kind)]


@pytest.mark.slow
@pytest.mark.parametrize("value", ABSURD, ids=repr_of)
@pytest.mark.parametrize(("kind", "name", "shape"), FIELDS, ids=[f"{k.__name__}.{n}" for k, n, _ in FIELDS])
def test_absurd_numbers_are_refused_in_every_field(kind, name, shape, value):
    with pytest.raises(InputError, match=name.split("_")[0]) as caught:
        kind(**{name: shape(value)})
    assert len(str(caught.value)) < 1200


def test_every_configuration_with_numbers_is_among_them():
    assert {k for k, _, _ in FIELDS} == set(CONFIGURATIONS) - {Deidentification}
    assert len(FIELDS) >= 30


@pytest.mark.parametrize("value", ABSURD, ids=repr_of)
@pytest.mark.parametrize("name", [f.name for f in fields(Augmentation)])
def test_absurd_strengths_of_augmentation_are_refused(name, value):
    with pytest.raises(InputError, match=f"augmentation.{name}"):
        TrainingConfig(augmentation={name: value})


@pytest.mark.parametrize("value", [v for v in ABSURD if v == v], ids=repr_of)
@pytest.mark.parametrize("name", ["size", "seed", "site_differences", "label_noise", "images_per_site"])
def test_absurd_simulations_are_refused_before_anything_is_written(name, value, tmp_path):
    stated = {"images_per_site": {"alder": 1}, "seed": 1} | {
        name: {"alder": value} if name == "images_per_site" else value
    }
    with pytest.raises(InputError, match=name):
        simulation.hospitals(tmp_path / "s", **stated)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "given_", [{"seed": -1}, {"seed": 2**40}, {"training_seeds": (2**40,)}, {"training_seeds": tuple(range(101))}]
)
def test_absurd_seeds_of_a_study_are_refused(given_):
    with pytest.raises(ValueError, match=r"seed"):
        Study(title="t", **given_)


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from([f.name for f in fields(Expected)]),
        st.one_of(st.floats(), st.integers(), st.floats(0, 1)),
        max_size=4,
    )
)
def test_a_plan_is_made_or_refused_whatever_is_expected(stated):
    with suppress(InputError):
        made = plan(Expected(**stated))
        assert (made.table.height, len(made.sentences)) == (7, 7)


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none()), st.booleans())
def test_a_number_is_in_its_range_or_named(value, whole):
    inside = is_number(value) and 2 <= value <= 7 and (not whole or value == int(value))
    found = outside("here", value, 2, 7, whole=whole)
    assert (found == []) == inside
    assert all(str(p).startswith("here: expected a") and len(str(p)) < 200 for p in found)


def test_the_page_names_every_limit():
    page = (Path(__file__).parents[1] / "docs" / "reference" / "limits.md").read_text()
    names = [n for n, v in vars(limits).items() if n.isupper() and not is_dataclass(v)]
    assert len(names) > 20
    assert [n for n in names if f"`{n}`" not in page] == []
