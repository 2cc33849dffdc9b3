"""What is frozen on tune: by hand, against a slow twin, and where it falls back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from overread.errors import InputError
from overread.training.fitting.operating_choice import freeze, probability

RNG = np.random.default_rng(20261123)


def planted(n: int, *, intercept: float, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose true probability is expit(intercept + slope * logit)."""
    logits = RNG.normal(0, 1.5, n)
    return logits, RNG.random(n) < expit(intercept + slope * logits)


def frozen(logits, truth, **options):
    logits, truth = np.asarray(logits, float), np.asarray(truth, float)
    options = {"cluster": np.arange(len(logits)), "specificities": [0.9], "sensitivities": [0.9]} | options
    return freeze(["edema"], logits[:, None], truth[:, None], **options)


def test_the_planted_line_is_found_and_equals_the_maximum_of_the_likelihood():
    logits, truth = planted(20_000, intercept=-1.3, slope=0.6)
    line = frozen(logits, truth)["recalibration"]["edema"]
    assert line["intercept"] == pytest.approx(-1.3, abs=0.06)
    assert line["slope"] == pytest.approx(0.6, abs=0.05)
    assert line["note"] == ""

    def loss(b: np.ndarray) -> float:
        eta = b[0] + b[1] * logits
        return float(np.logaddexp(0, eta).sum() - eta[truth].sum())

    best = minimize(loss, [0.0, 1.0], tol=1e-10).x
    np.testing.assert_allclose([line["intercept"], line["slope"]], best, atol=1e-4)


def test_recalibrated_probabilities_have_the_prevalence_as_their_mean():
    logits, truth = planted(500, intercept=-2.0, slope=1.4)
    line = frozen(logits, truth)["recalibration"]["edema"]
    assert probability(logits, line).mean() == pytest.approx(truth.mean(), abs=1e-8)


def test_the_operating_point_by_hand():
    # ten absent, ten present; above 0.5 lie one absent and eight present
    absent = [-3.0, -2.5, -2.2, -2.0, -1.5, -1.2, -1.0, -0.5, 0.2, 1.5]
    present = [-0.8, -0.1, 0.6, 0.7, 0.9, 1.0, 1.2, 1.6, 2.0, 2.5]
    made = frozen(absent + present, [0] * 10 + [1] * 10)
    line, points = made["recalibration"]["edema"], made["operating_points"]["edema"]
    assert line["note"] == ""
    assert set(points) == {"spec90", "sens90"}
    spec, sens = points["spec90"], points["sens90"]
    assert (spec["specificity"], spec["sensitivity"]) == (0.9, 0.8)
    assert probability(0.2, line) < spec["threshold"] <= probability(0.6, line)
    assert (sens["specificity"], sens["sensitivity"]) == (0.8, 0.9)
    assert probability(-0.5, line) < sens["threshold"] <= probability(-0.1, line)
    assert spec["at"] == "operating_point=spec90"
    assert (spec["n_present"], spec["n_absent"], spec["target"]) == (10, 10, 0.9)


def test_what_is_recorded_is_what_the_threshold_does_on_tune():
    logits, truth = planted(700, intercept=-1.0, slope=1.0)
    made = frozen(logits, truth, specificities=[0.9, 0.95, 0.975], sensitivities=[0.8])
    score = probability(logits, made["recalibration"]["edema"])
    points = made["operating_points"]["edema"]
    assert list(points) == ["spec90", "spec95", "spec97.5", "sens80"]
    for name, point in points.items():
        call = score >= point["threshold"]
        assert point["specificity"] == pytest.approx(np.mean(~call[~truth]), abs=1e-12)
        assert point["sensitivity"] == pytest.approx(np.mean(call[truth]), abs=1e-12)
        assert point["specificity" if name.startswith("spec") else "sensitivity"] >= point["target"] - 1e-12


def test_what_is_not_stated_is_ignored_finding_by_finding():
    logits, truth = planted(400, intercept=0.0, slope=1.0)
    other, states = planted(400, intercept=0.5, slope=0.8)
    states = states.astype(float)
    states[::3] = np.nan
    both = freeze(
        ["edema", "nodule"],
        np.stack([logits, other], 1),
        np.stack([truth.astype(float), states], 1),
        cluster=np.arange(400),
        specificities=[0.9],
        sensitivities=[],
    )
    stated = ~np.isnan(states)
    alone = frozen(other[stated], states[stated], sensitivities=[])
    assert both["recalibration"]["nodule"] == alone["recalibration"]["edema"]
    assert both["operating_points"]["nodule"]["spec90"] == alone["operating_points"]["edema"]["spec90"]


def test_monotone_scores_keep_their_calls():
    """An affine change of the logits (another temperature and offset) changes no call at a frozen operating point."""
    logits, truth = planted(600, intercept=-0.5, slope=1.0)
    first, second = frozen(logits, truth), frozen(3 * logits - 2, truth)
    calls = [
        probability(values, made["recalibration"]["edema"]) >= made["operating_points"]["edema"]["spec90"]["threshold"]
        for values, made in ((logits, first), (3 * logits - 2, second))
    ]
    assert np.array_equal(*calls)


def test_too_few_patients_leave_the_identity_with_a_note():
    logits, truth = planted(200, intercept=0.0, slope=1.0)
    truth[:] = False
    truth[:30] = True
    patients = np.concatenate([np.arange(30) // 5, np.arange(30, 200)])  # 30 present images of six patients
    line = frozen(logits, truth, cluster=patients)["recalibration"]["edema"]
    assert (line["intercept"], line["slope"]) == (0.0, 1.0)
    assert line["note"].startswith("not recalibrated: tune has 6 patients with and 170 without")


@pytest.mark.parametrize("weight", [1.0, 10.0])
def test_where_tune_is_too_small_the_weight_of_training_is_taken_out_of_the_score(weight):
    """A weighted loss has its minimum at logit(p) + log(weight): without it the mean score is the prevalence."""
    prevalence, n = 0.05, 160
    truth = np.arange(n) < prevalence * n
    logits = np.full(n, np.log(prevalence / (1 - prevalence) * weight))
    # The minimum of the weighted loss is there: its derivative w p (1 - s) - (1 - p) s is 0.
    assert weight * prevalence * (1 - expit(logits[0])) == pytest.approx((1 - prevalence) * expit(logits[0]))
    line = frozen(logits, truth, positive_weights={"edema": weight})["recalibration"]["edema"]
    assert probability(logits, line).mean() == pytest.approx(prevalence)
    assert line["note"].endswith(" was taken out") is (weight != 1)
    assert (line["intercept"], line["slope"]) == (pytest.approx(-np.log(weight)), 1.0)


def test_separated_classes_leave_the_identity_with_a_note():
    made = frozen(np.linspace(-2, 2, 40), np.arange(40) >= 20)
    assert made["recalibration"]["edema"]["slope"] == 1.0
    assert "separate the classes" in made["recalibration"]["edema"]["note"]
    assert made["operating_points"]["edema"]["spec90"]["sensitivity"] == 1.0


def test_a_slope_that_is_not_positive_leaves_the_identity_with_a_note():
    logits, truth = planted(500, intercept=0.0, slope=-1.0)
    line = frozen(logits, truth)["recalibration"]["edema"]
    assert (line["intercept"], line["slope"]) == (0.0, 1.0)
    assert "not positive" in line["note"]


def test_one_class_has_no_threshold_for_it_and_null_for_what_cannot_be_attained():
    points = frozen(np.linspace(-1, 1, 20), np.zeros(20))["operating_points"]["edema"]
    assert points["sens90"]["threshold"] is None
    assert points["sens90"]["note"] == "no threshold on tune: NE: no case had the finding present"
    assert points["spec90"]["threshold"] is not None
    assert points["spec90"]["specificity"] >= 0.9
    assert points["spec90"]["note"] == "all 20 tune images had the finding absent"
    assert points["spec90"]["sensitivity"] is None


def test_nothing_stated_at_all_is_said_and_can_be_written_as_json():
    made = frozen(np.zeros(5), np.full(5, np.nan))
    assert made["operating_points"]["edema"]["spec90"]["threshold"] is None
    assert "0 patients with and 0 without" in made["recalibration"]["edema"]["note"]
    json.dumps(made, allow_nan=False)


def test_a_coarse_class_is_noted():
    points = frozen([-1, 0.5, 0.3, 2.0], [0, 0, 1, 1], specificities=[0.95])["operating_points"]["edema"]
    assert points["spec95"]["note"] == "coarse: 2 tune images cannot show a specificity of 0.95 apart from 1"


def test_numbers_survive_json_to_the_bit():
    logits, truth = planted(300, intercept=-1.0, slope=0.7)
    made = frozen(logits, truth)
    assert json.loads(json.dumps(made)) == made


def test_probability_keeps_the_order_and_undoes_the_line():
    line = {"intercept": -0.7, "slope": 2.0}
    values = np.linspace(-5, 5, 50)
    made = probability(values, line)
    assert (np.diff(made) > 0).all()
    np.testing.assert_allclose((logit(made) + 0.7) / 2, values, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": [[np.nan], [0.0]]}, "expected finite logits on tune; found 1 that are not"),
        ({"truth": [[0.5], [1.0]]}, "truths 0, 1 or NaN"),
        ({"truth": [[1.0]]}, "logits and truth of one shape"),
        ({"cluster": [1]}, "a patient for each of 2 images"),
        ({"specificities": [90]}, r"specificities: expected fractions between 0 and 1; found 1 others \(90\)"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(change, message):
    given = {"logits": [[0.0], [1.0]], "truth": [[0], [1]], "cluster": [1, 2]} | change
    with pytest.raises(InputError, match=message):
        freeze(["edema"], given.pop("logits"), given.pop("truth"), **given)
