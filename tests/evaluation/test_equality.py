"""The estimates of small studies stay the same to the last bit, whatever is rearranged in the code.

tests/reference/equality holds them. After a change that is meant to change an estimate,
validation/equality_reference.py prints what differs and writes them anew. machine.json beside them names the processor
and the libraries. Where these are the same, every bit must be; elsewhere (other vector instructions add in another
order) numbers agree to 1e-9 of their size.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_studies import studies

from overread.evaluation import EvaluationConfig, evaluate

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "equality"
KEY = [
    "analysis",
    "metric",
    "at",
    "finding",
    "rater",
    "arm",
    "contrast",
    "population",
    "subgroup",
    "level",
    "reference",
    "policy",
]
NUMBERS = ["estimate", "low", "high", "se", "p", "p_adjusted", "null"]
COUNTS = ["n_present", "n_absent", "n_cases", "n_patients", "n_readers"]


def machine() -> dict[str, object]:
    """What decides the order in which floating-point numbers are added."""
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    names = ("numpy", "scipy", "numba", "polars")
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "features": sorted(name for name, there in features.items() if there),
        "libraries": {name: version(name) for name in names},
    }


def same_machine() -> bool:
    return json.loads((REFERENCE / "machine.json").read_text()) == machine()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["models", "sample", "readers", "pooled"])
def test_estimates_of_a_small_study_stay_the_same_to_the_last_bit(name: str):
    study = studies()[name]
    config = EvaluationConfig(**study.config)
    rng = np.random.default_rng(7)
    made = evaluate(
        study.images, study.labels, study.predictions, config, rng=rng, reads=study.reads, models=study.models
    ).estimates
    wanted = pl.read_parquet(REFERENCE / f"{name}.parquet")
    assert made.height == wanted.height
    both = wanted.join(
        made.with_columns(pl.col(KEY).cast(pl.String)), on=KEY, how="left", suffix="_now", maintain_order="left"
    )
    different = []
    for column in NUMBERS:
        was, now = both[column].cast(pl.Float64).to_numpy(), both[f"{column}_now"].cast(pl.Float64).to_numpy()
        equal = (
            was.view(np.int64) == now.view(np.int64) if same_machine() else np.isclose(was, now, rtol=1e-9, atol=1e-12)
        )
        equal |= np.isnan(was) & np.isnan(now)
        different += [(column, *both.row(i, named=True).items()) for i in np.flatnonzero(~equal)[:3]]
    assert not different
    for column in COUNTS:
        assert both[column].equals(both[f"{column}_now"], check_names=False)
