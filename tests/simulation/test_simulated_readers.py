import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from overread.errors import InputError
from overread.simulation.simulated_readers import Reader, evidence, panel, reads


def truth(n=3000, severity=0.5, share=0.4):
    present = np.arange(n) < share * n
    return pl.DataFrame(
        {"case_id": [f"c{k}" for k in range(n)], "finding": "edema", "severity": np.where(present, severity, 0.0)}
    )


def auc(frame, cases):
    both = frame.join(cases, on="case_id")
    x = both.filter(pl.col("severity") > 0)["score"].to_numpy()
    y = both.filter(pl.col("severity") == 0)["score"].to_numpy()
    return (x[:, None] > y[None]).mean()


@pytest.mark.parametrize("severity", [0.2, 0.5])
def test_auc_is_the_binormal_one(severity):
    cases = truth(severity=severity)
    answers = reads(cases, [Reader("a", skill=1.5)], rng=np.random.default_rng(0))
    expected = ndtr(1.5 * float(evidence(np.array(severity))) / np.sqrt(2))
    assert auc(answers, cases) == pytest.approx(expected, abs=0.02)


def test_bias_moves_sensitivity_up_and_specificity_down():
    cases = truth()
    answers = reads(cases, [Reader("plain"), Reader("eager", bias=0.8)], rng=np.random.default_rng(1))
    both = answers.join(cases, on="case_id").with_columns(pl.col("call").cast(pl.String) == "present")
    rate = both.group_by("reader", pl.col("severity") > 0).agg(pl.col("call").mean())
    rates = {(r, s): c for r, s, c in rate.iter_rows()}
    assert rates["eager", True] > rates["plain", True] + 0.05
    assert rates["eager", False] > rates["plain", False] + 0.05


def test_correlation_between_readers_is_the_one_asked_for():
    cases = truth(6000, share=0.0)
    for asked in (0.0, 0.4, 0.9):
        answers = reads(cases, [Reader("a"), Reader("b")], rng=np.random.default_rng(2), correlation=asked)
        wide = answers.pivot("reader", index="case_id", values="score")
        from scipy.special import ndtri

        found = np.corrcoef(ndtri(wide["a"].to_numpy()), ndtri(wide["b"].to_numpy()))[0, 1]
        assert found == pytest.approx(asked, abs=0.05)


def test_a_good_model_helps_and_a_misleading_one_harms():
    cases = truth()
    present = cases["severity"].to_numpy() > 0
    good = cases.select("case_id", "finding").with_columns(score=np.where(present, 0.8, 0.2))
    bad = cases.select("case_id", "finding").with_columns(score=np.where(present, 0.2, 0.8))
    arms = {"unaided": None, "aided:score": good, "misled": bad}
    answers = reads(cases, [Reader("a", skill=1.2)], rng=np.random.default_rng(3), arms=arms)
    by_arm = {arm[0]: auc(frame, cases) for arm, frame in answers.group_by("arm")}
    assert by_arm["misled"] < by_arm["unaided"] - 0.03
    assert by_arm["aided:score"] > by_arm["unaided"] + 0.03


def test_unsure_readers_say_uncertain_near_the_middle():
    answers = reads(truth(), [Reader("a", unsure=0.3)], rng=np.random.default_rng(4))
    doubt = answers.filter(pl.col("call").cast(pl.String) == "uncertain")["score"]
    assert 0.05 < len(doubt) / 3000 < 0.4
    assert doubt.min() > ndtr(-0.31)
    assert doubt.max() < ndtr(0.31)


def test_panel_varies_about_its_mean():
    readers = panel(400, rng=np.random.default_rng(0), skill=2.0, spread=0.3)
    assert len({r.name for r in readers}) == 400
    assert np.mean([r.skill for r in readers]) == pytest.approx(2.0, abs=0.05)
    assert np.std([r.bias for r in readers]) == pytest.approx(0.3, abs=0.04)


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="severity"):
        reads(truth().drop("severity"), [Reader("a")], rng=np.random.default_rng(0))
    few = truth(5).select("case_id", "finding", score=pl.lit(0.5)).head(2)
    with pytest.raises(InputError, match="a model score for every case"):
        reads(truth(5), [Reader("a")], rng=np.random.default_rng(0), arms={"aided": few})
    with pytest.raises(InputError, match="from 0 to 1"):
        reads(truth(5), [Reader("a")], rng=np.random.default_rng(0), correlation=1.2)
