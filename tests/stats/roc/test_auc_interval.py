import numpy as np
import pytest

from overread.stats import roc

TINY_Y = np.array([1, 1] + [0] * 8)
TINY = np.array([0.8, 0.4, 0.1, 0.4, 0.4, 0.35, 0.9, 0.2, 0.8, 0.05])


def test_logit_t_is_wider_than_logit_and_stays_inside():
    logit, t = (roc.auc(TINY_Y, TINY, interval=kind) for kind in ("logit", "logit-t"))
    assert 0 < t.low < logit.low < logit.high < t.high < 1
    v10, v01 = 0.017578125 / 2, 0.150669643 / 8
    assert t.method.codes[-1].name == "scale_logit_t"
    assert t.method.codes[-1]["df"] == round((v10 + v01) ** 2 / (v10**2 + v01**2 / 7), 1)


@pytest.mark.parametrize("interval", ["wald", "logit", "logit-t"])
@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
def test_the_test_of_one_half_agrees_with_the_interval(interval, confidence):
    rng = np.random.default_rng(11)
    for shift in (0.2, 0.5, 0.8):
        y = rng.random(60) < 0.5
        got = roc.auc(y, rng.normal(size=60) + shift * y, interval=interval, confidence=confidence)
        assert (got.p < 1 - confidence) == (not got.low <= 0.5 <= got.high)


@pytest.mark.parametrize(("score", "value"), [([3, 4, 1, 2], 1.0), ([1, 2, 3, 4], 0.0), ([5, 5, 5, 5], 0.5)])
@pytest.mark.parametrize("interval", ["wald", "logit", "logit-t"])
def test_no_variance_is_a_zero_width_interval_with_a_note(score, value, interval):
    got = roc.auc([1, 1, 0, 0], score, interval=interval)
    assert (got.value, got.low, got.high, got.se) == (value, value, value, 0)
    assert np.isnan(got.p)
    assert "uncertainty is understated" in got.note
