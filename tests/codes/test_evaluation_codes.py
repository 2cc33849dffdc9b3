"""Results of overread.evaluation carry codes: no text, analysis or metric is dead."""

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import overread
from overread.codes import Analysis, Metric

SOURCE = Path(overread.__file__).parent


def code_outside_codes() -> str:
    files = (f for f in sorted(SOURCE.rglob("*.py")) if "codes" not in f.relative_to(SOURCE).parts)
    return "\n".join(f.read_text("utf-8") for f in files)


@pytest.mark.slow
@pytest.mark.parametrize("enumeration", [Analysis, Metric])
def test_every_analysis_and_metric_is_made_or_shown_by_the_program(enumeration):
    code = code_outside_codes()
    name = enumeration.__name__
    dead = [m.name for m in enumeration if not re.search(rf"\b{name}\.{m.name}\b", code)]
    assert dead == []


@pytest.mark.parametrize("kind", ["methods", "notes"])
def test_every_text_of_the_evaluation_is_used(kind):
    file = resources.files("overread.codes").joinpath("text", f"{kind}_evaluation.toml")
    code = code_outside_codes()
    composed = {  # names with a part that is chosen where they are made
        "readers_specificity_not_attainable",
        "readers_sensitivity_not_attainable",
        "one_group_evaluable",
        "no_group_evaluable",
    }
    dead = {n for n in tomllib.loads(file.read_text("utf-8")) if f'"{n}"' not in code} - composed
    assert dead == set()
