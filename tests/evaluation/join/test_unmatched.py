"""Rows whose image or case the images table lacks: refused above the allowance, else counted exactly."""

import polars as pl
import pytest
from checked_join import join_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.unmatched import UnmatchedAllowance, allowed, matched

N = 40
IMAGES = pl.DataFrame({"image_id": [f"i{k}" for k in range(N)], "patient_id": [f"p{k}" for k in range(N)], "site": "a"})


def tables_of(labelled, read, scored):
    labels = pl.DataFrame({"case_id": labelled, "finding": "edema", "source": "expert", "state": "present"})
    reads = pl.DataFrame(
        {
            "reader": "r",
            "case_id": read,
            "finding": "edema",
            "arm": "unaided",
            "round": 1,
            "score": None,
            "call": "present",
        },
        schema_overrides={"score": pl.Float64},
    )
    scores = pl.DataFrame({"image_id": scored, "finding": "edema", "model": "acme", "score": 0.5})
    return labels, reads, scores


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.sampled_from([0.0, 0.01, 0.1, 0.3, 1.0]))
def test_a_partial_overlap_is_refused_or_counted_exactly(labels_lost, reads_lost, scores_lost, allowed):
    """Every table names all images and some that are not there; nothing vanishes."""
    lost = {"labels": labels_lost, "reads": reads_lost, "predictions": scores_lost}
    named = [[f"i{k}" for k in range(N)] + [f"x{k}" for k in range(n)] for n in lost.values()]
    labels, reads, scores = tables_of(*named)
    config = EvaluationConfig(missing_allowed=dict.fromkeys(lost, allowed))
    beyond = [name for name, n in lost.items() if n > allowed * (N + n)]
    if beyond:
        with pytest.raises(InputError, match="images table") as caught:
            join_tables(IMAGES, labels, scores, config, reads=reads)
        assert any(f"evaluation.missing_allowed.{name} = " in str(caught.value) for name in beyond)
        return
    made = join_tables(IMAGES, labels, scores, config, reads=reads)
    account = pl.concat([made.account, made.reads.account]).filter(stage="unmatched")
    found = {reason.split(" ")[0].rstrip(":"): count for reason, count in account.select("reason", "count").rows()}
    assert found == {name: n for name, n in lost.items() if n}
    assert made.scores.height == N
    assert made.reads.reads.height == N


def test_the_share_that_a_message_proposes_is_enough():
    rows = pl.DataFrame({"case_id": [f"i{k}" for k in range(7)] + ["x"]})
    with pytest.raises(InputError) as caught:
        matched(rows, IMAGES.rename({"image_id": "case_id"}), UnmatchedAllowance("here", 0.01), name="reads")
    share = float(str(caught.value).rpartition("here = ")[2].split()[0])
    kept, dropped = matched(
        rows, IMAGES.rename({"image_id": "case_id"}), UnmatchedAllowance("here", share), name="reads"
    )
    assert (kept.height, dropped[0].count, dropped[0].examples) == (7, 1, "x")


def test_a_message_says_how_a_missing_share_is_allowed_on_the_command_line():
    assert allowed("evaluation.missing_allowed.scores", 0.79) == (
        "--set missing_allowed.scores=0.83 (evaluation.missing_allowed.scores = 0.83 in a file)"
    )


def test_tuning_predictions_of_images_that_are_not_there_are_refused(made):
    import numpy as np

    from overread import evaluation as ev

    m = made(raters={"acme": 1.5}, sites={"": 60}, findings=("edema",))
    strange = m.predictions.head(10).with_columns(pl.lit("elsewhere").alias("image_id") + pl.col("image_id"))
    with pytest.raises(InputError, match=r"tune predictions: .* found 10 of 10 images .* tune predictions have 'else"):
        ev.evaluate(m.images, m.labels, m.predictions, EvaluationConfig(), rng=np.random.default_rng(0), tune=strange)


def test_tables_without_a_common_case_show_both_ways_to_name_them():
    rows = pl.DataFrame({"case_id": ["x0.png", "x1.png"]})
    with pytest.raises(InputError) as caught:
        matched(rows, IMAGES.rename({"image_id": "case_id"}), UnmatchedAllowance("here", 0.01), name="predictions")
    text = str(caught.value)
    assert "2 of 2 cases (100.0%)" in text
    assert text.endswith("the same names of cases: predictions have 'x0.png', images have 'i0'.")
