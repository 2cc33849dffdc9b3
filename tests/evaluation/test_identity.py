"""Identifiers that are written in several ways give the evaluation of the clean tables."""

import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.evaluation import EvaluationConfig, evaluate
from overread.tables.table_notes import sentences

pytestmark = pytest.mark.slow

SPACE = st.sampled_from(["", "", " ", "\t", "\u00a0", "\u200b", "\ufeff", "\u3000", "  ", "\x00", "\r\n"])
KEYS = {
    "images": ("image_id", "patient_id", "site"),
    "labels": ("case_id", "finding", "source"),
    "predictions": ("image_id", "finding", "model"),
    "reads": ("reader", "case_id", "finding", "arm"),
}


def study(made):
    """A study of 24 images whose identifiers have letters with accents, and of two readers."""
    m = made(sites={"Zürich": 12}, findings=("edema",), raters={"modèle": 1.5}, per_patient=2)
    cases = m.images["image_id"]
    reads = pl.DataFrame(
        {
            "reader": ["Ångström"] * cases.len() + ["r2"] * cases.len(),
            "case_id": [*cases, *cases],
            "finding": "edema",
            "arm": "unaided",
            "round": 1,
            "score": None,
            "call": ["present", "absent", "absent"] * (2 * cases.len() // 3),
        }
    )
    return {"images": m.images, "labels": m.labels, "predictions": m.predictions, "reads": reads}


def evidence(frames):
    config = EvaluationConfig(replicates=100)
    return evaluate(**frames, config=config, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def clean(made):
    frames = study(made)
    return frames, evidence(frames)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_spelling_of_identifiers_gives_the_same_evaluation(clean, data):
    frames, expected = clean
    written = {}
    seed = data.draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    spaces = data.draw(st.lists(SPACE, min_size=4, max_size=4))
    form = data.draw(st.sampled_from(["NFC", "NFD"]))
    for table, frame in frames.items():
        written[table] = frame.with_columns(
            pl.Series(
                c,
                [spaces[rng.integers(4)] + unicodedata.normalize(form, v) + spaces[rng.integers(4)] for v in frame[c]],
            )
            for c in KEYS[table]
        )
    found = evidence(written)
    assert found.estimates.equals(expected.estimates)
    assert found.joined.equals(expected.joined)
    assert found.account.filter(pl.col("stage") != "identifiers").equals(expected.account)
    if any(spaces) or form == "NFD":
        assert found.account.filter(pl.col("stage") == "identifiers").height


def test_changes_are_counted_in_the_account(clean):
    frames, _ = clean
    padded = frames["images"].with_columns(
        pl.when(pl.int_range(pl.len()) == 3)
        .then(pl.col("patient_id") + " ")
        .otherwise("patient_id")
        .alias("patient_id")
    )
    found = sentences(evidence(frames | {"images": padded}).account)
    assert found == ["images: 1 values of 'patient_id' had white space around them: removed ('Zürich-1 ')."]


def test_a_join_that_fails_by_spelling_says_so(clean):
    frames, _ = clean
    numbers = frames["predictions"].with_columns(pl.col("image_id").cast(pl.Int64))
    with pytest.raises(
        InputError, match=r"24 of 24 differ from one there only in .*leading zeros.* \('0' and '000000'"
    ):
        evidence(frames | {"predictions": numbers})
