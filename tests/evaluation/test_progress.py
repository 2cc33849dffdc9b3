"""Progress of an evaluation moves steadily, never backwards, and ends at the whole."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.evaluation import EvaluationConfig, evaluate
from overread.evaluation.progress import TOTAL, advancing, reporting

SHAPES = st.recursive(st.just([]), lambda inner: st.lists(st.tuples(st.floats(0, 9), inner), max_size=4), max_leaves=25)


def run(shape):
    """Loops as the shape says; how many items were passed through."""
    return sum(1 + run(inner) for _, inner in advancing(shape, [cost for cost, _ in shape]))


def size(shape):
    return sum(1 + size(inner) for _, inner in shape)


@pytest.mark.slow
@given(SHAPES)
def test_loops_in_loops_report_each_per_cent_once_and_forwards(shape):
    seen = []
    with reporting(lambda done, total: seen.append((done, total))):
        assert run(shape) == size(shape)
        for _ in advancing([1]):
            pass
    done = [d for d, _ in seen]
    assert done == sorted(set(done))
    assert done[-1] == TOTAL
    assert {t for _, t in seen} == {TOTAL}


def test_without_a_report_the_items_pass_one_by_one():
    assert next(advancing(iter(range(10**9)))) == 0


@pytest.mark.slow
def test_an_evaluation_reports_between_its_analyses_and_within_them():
    rng = np.random.default_rng(5)
    n, findings = 240, ["edema", "mass", "nodule", "cardiomegaly"]
    ids = [f"i{k}" for k in range(n)]
    images = pl.DataFrame(
        {
            "image_id": ids,
            "case_id": ids,
            "patient_id": [f"p{k}" for k in range(n)],
            "site": "acme",
            "sex": ["F", "M"] * (n // 2),
        }
    )
    truth = rng.random((n, len(findings))) < 0.4
    labels = pl.DataFrame(
        [
            {"case_id": i, "finding": f, "source": "report", "state": "present" if truth[k, j] else "absent"}
            for k, i in enumerate(ids)
            for j, f in enumerate(findings)
        ]
    )
    predictions = pl.DataFrame(
        [
            {
                "case_id": i,
                "finding": f,
                "model": m,
                "shift": "none",
                "score": float(np.clip(0.3 * truth[k, j] + 0.7 * rng.random(), 0, 1)),
            }
            for m in ("a", "b")
            for k, i in enumerate(ids)
            for j, f in enumerate(findings)
        ]
    )
    seen = []
    evaluate(
        images,
        labels,
        predictions,
        EvaluationConfig(replicates=100, subgroups=("sex",)),
        rng=np.random.default_rng(1),
        progress=lambda done, total: seen.append((done, total)),
    )
    done = [d for d, _ in seen]
    assert (done[0], done[-1]) == (0, TOTAL)
    assert done == sorted(set(done))
    assert len(done) > 30
    assert max(np.diff(done)) <= 20, "the fixed rates of one model are the longest part without a report"
