"""Odd values in protocols, configurations and --set: a sentence that names the key, never a traceback."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.cli.arguments import parsed_changes, stated
from overread.cohort import CohortConfig
from overread.cohort.reader_samples import SampleConfig
from overread.errors import InputError
from overread.evaluation import EvaluationConfig
from overread.images.deidentification import Deidentification
from overread.protocol import load
from overread.tables.records.configuration import parse_section
from overread.training.training_config import TrainingConfig

PROTOCOL = """
[study]
title = "T"
[sources.s]
reader = "simulate"
[sites]
internal = ["a"]
[models.pooled]
sites = ["a"]
"""
KINDS = {
    "cohort": CohortConfig,
    "sample": SampleConfig,
    "evaluation": EvaluationConfig,
    "training": TrainingConfig,
    "deidentification": Deidentification,
}
KEYS = sorted({f.name for kind in KINDS.values() for f in fields(kind)})
ODD = (
    True,
    False,
    None,
    -1,
    0,
    2**63,
    10**400,
    0.5,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "\x00",
    "a" * 5000,
    "\ud800",
    [],
    {},
    [[]],
    [None],
    [True],
    [-1],
    [math.nan],
    [""],
    ["\x00"],
    {"a": 1},
    {"": {}},
    {"a": {"b": {"c": []}}},
    [{"a": 1}],
)


def _outcome(name, values):
    """The configuration and "", or None and the message of the refusal."""
    try:
        return parse_section(KINDS[name], values, name), ""
    except InputError as error:
        return None, str(error)


def _is_kept(value, given):
    """Nothing is converted: a list is a tuple of the same values, and a section may be filled with its defaults."""
    if isinstance(given, dict):
        return not isinstance(value, list | tuple | str | int | float)
    return isinstance(value, bool) == isinstance(given, bool) and value == (
        tuple(given) if isinstance(given, list) else given
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "key"), [(n, f.name) for n, kind in KINDS.items() for f in fields(kind)])
def test_any_value_of_any_key_is_kept_or_refused_by_its_name(name, key):
    for value in ODD:
        config, refusal = _outcome(name, {key: value})
        if config is None:
            assert key in refusal, f"{name}.{key} = {value!r:.60}"
        else:
            assert _is_kept(getattr(config, key), value), f"{name}.{key} = {value!r:.60}"


@pytest.mark.slow
@given(name=st.sampled_from(sorted(KINDS)), values=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ODD)))
def test_any_section_is_kept_or_refused_by_one_of_its_names(name, values):
    known = {f.name for f in fields(KINDS[name])}
    values = {key: value for key, value in values.items() if key in known}
    config, refusal = _outcome(name, values)
    if config is None:
        assert any(key in refusal for key in values)
    else:
        assert all(_is_kept(getattr(config, key), value) for key, value in values.items())


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("cohort", "seed", True),
        ("cohort", "seed", "3"),
        ("cohort", "seed", 1.0),
        ("cohort", "seed", -1),
        ("cohort", "max_unreadable", True),
        ("cohort", "views", "PA"),
        ("cohort", "minimum_size", [True, False]),
        ("evaluation", "replicates", True),
        ("evaluation", "replicates", 200.0),
        ("evaluation", "seed", -1),
        ("evaluation", "confidence", math.nan),
        ("evaluation", "finite_population", 1),
        ("evaluation", "missing_allowed", math.inf),
        ("sample", "seed", -5),
        ("sample", "n", True),
        ("training", "seed", -1),
        ("training", "epochs", True),
        ("training", "weights", "\x00"),
        ("evaluation", "ece_bins", 0),
        ("evaluation", "age_bands", [-math.inf]),
    ],
)
def test_a_value_of_another_type_or_range_is_refused(name, key, value):
    with pytest.raises(InputError, match=name):
        parse_section(KINDS[name], {key: value}, name)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("study.title.x=1", "expected 'title' to be a section"),
        ("study.seed=-1", "seed"),
        ("=1", "found ''"),
        ("a..b=1", "found 'a..b'"),
        ("a.=1", "found 'a.'"),
        (".a=1", "found '.a'"),
        ("study=1", "study"),
        ("study.seed=true", "seed"),
        ("study.seed=1e400", "seed"),
        ("study.seed=nan", "finite numbers"),
        ("study.seed=" + "9" * 5000, "seed"),
        ("study.training_seeds=[]", "training_seeds"),
        ("study.training_seeds=[-1]", "training_seeds"),
        ("study.title=[[[[1]]]]", "title"),
        ("study.title=" + "[" * 5000, None),
        ("sites.internal.x=1", "expected 'internal' to be a section"),
        ("study.title=" + "{a=" * 200 + "1" + "}" * 200, "at most 64 levels"),
        ("models=3", "models"),
        ("sources.s.options=3", "options"),
        ("study." + ".".join("a" * 200) + "=1", "at most 64 levels"),
    ],
)
def test_a_change_that_fits_nowhere_is_a_sentence(tmp_path, given, said):
    path = tmp_path / "p.toml"
    path.write_text(PROTOCOL)
    if said is None:  # a text that is no TOML is a word
        assert load(path, changes=parsed_changes([given])).study.title == given.partition("=")[2]
        return
    with pytest.raises(InputError) as refused:
        load(path, changes=parsed_changes([given]))
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["cohort = 3", "cohort = []", "[[cohort]]\na = 1", 'cohort = "x"'])
def test_a_section_that_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a section \[cohort\]"):
        stated(path, "cohort")
