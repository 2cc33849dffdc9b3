"""Where thresholds come from, and on whom they are tested."""

import numpy as np
import polars as pl
import pytest
from checked_join import join_tables

from overread.errors import InputError
from overread.evaluation.context.score_matrix import build_scores
from overread.evaluation.context.site_populations import Population
from overread.evaluation.context.thresholds import from_half, from_model, from_tune, half_of_patients
from overread.evaluation.evaluation_config import EvaluationConfig

CONFIG = EvaluationConfig(specificities=(0.8,), sensitivities=(0.7,))
INSIDE = (Population("internal", ("a",)), Population("external:b", ("b",)))


@pytest.fixture
def ground(made):
    m = made(sites={"a": 100, "b": 40})
    return build_scores(join_tables(m.images, m.labels, m.predictions, EvaluationConfig()))


def test_a_model_brings_its_thresholds(ground):
    record = {
        "operating_points": {"edema": {"spec90": {"threshold": 0.4}, "sens90": {"threshold": None, "note": "why"}}}
    }
    frozen = from_model(record, ground)
    assert frozen.thresholds["edema"]["spec90"].value == 0.4
    assert np.isnan(frozen.thresholds["edema"]["sens90"].value)
    assert frozen.thresholds["edema"]["sens90"].note == "why"
    assert frozen.tested.all()
    assert not frozen.lines
    assert frozen.recalibrated == "frozen"


def test_the_half_that_fits_is_not_tested(ground):
    half = half_of_patients(ground, rng=np.random.default_rng(1))
    frozen = from_half(ground, "acme", INSIDE, half, CONFIG)
    fitted = set(ground.patient[~frozen.tested])
    tested = set(ground.patient[frozen.tested])
    assert not fitted & tested
    assert len(fitted) == 50
    assert frozen.tested[ground.at(["b"])].all()
    assert "fitted in a random half of the patients (50) and evaluated in the other 90" in frozen.words


def test_the_half_attains_what_its_threshold_was_chosen_for(ground):
    half = half_of_patients(ground, rng=np.random.default_rng(1))
    frozen = from_half(ground, "acme", INSIDE, half, CONFIG)
    fitting = ~frozen.tested
    absent = fitting & (ground.truths("edema") == 0)
    specificity = (ground.scores("acme", "edema")[absent] < frozen.thresholds["edema"]["spec80"].value).mean()
    assert 0.8 <= specificity < 0.82
    present = fitting & (ground.truths("edema") == 1)
    sensitivity = (ground.scores("acme", "edema")[present] >= frozen.thresholds["edema"]["sens70"].value).mean()
    assert 0.7 <= sensitivity < 0.73


def test_the_half_hangs_on_the_generator_alone(ground):
    once, again, other = (half_of_patients(ground, rng=np.random.default_rng(s)) for s in (5, 5, 6))
    assert (once == again).all()
    assert (once != other).any()
    at_a = np.array([name.startswith("a") for name in ground.patients])
    assert once[at_a].sum() == 50
    assert once[~at_a].sum() == 20


def test_a_note_on_a_threshold_is_about_the_fitting_cases(made):
    """Beside the rates of other cases "all cases had the finding absent" contradicts the counts of the row."""
    m = made(sites={"a": 60})
    score = pl.when(pl.col("finding") == "edema").then(0.5).otherwise(pl.col("score"))
    states = pl.when(pl.col("finding") == "edema").then(pl.col("state").cast(pl.String)).otherwise(pl.lit("absent"))
    labels, scores = m.labels.with_columns(state=states), m.predictions.with_columns(score=score)
    panel = build_scores(join_tables(m.images, labels, scores, EvaluationConfig()))
    other = next(f for f in panel.findings if f != "edema")
    frozen = from_tune(panel, panel.raters[0], panel, CONFIG)
    n = int(panel.stated(panel.raters[0], other).sum())
    notes = {f: {name: str(t.note) for name, t in points.items()} for f, points in frozen.thresholds.items()}
    assert notes[other] == {
        "spec80": f"threshold chosen on fitting cases (n = {n}) that all had the finding absent",
        "sens70": "NE: no threshold could be chosen, because no fitting case had the finding present",
    }
    assert notes["edema"]["spec80"] == (
        "NE: no threshold could be chosen: on the fitting cases only calling no case present attains the specificity; "
        "100.0% of the fitting cases without the finding have the highest score, 0.5"
    )


def test_a_recalibration_needs_ten_patients_of_each_class(made):
    m = made(sites={"a": 12}, per_patient=1, prevalence=0.5)
    p = build_scores(join_tables(m.images, m.labels, m.predictions, EvaluationConfig()))
    frozen = from_half(
        p, "acme", (Population("internal", ("a",)),), half_of_patients(p, rng=np.random.default_rng(0)), CONFIG
    )
    assert np.isnan(frozen.lines["edema"].slope)
    assert "without it (10 of each required)" in frozen.lines["edema"].note
    assert "imprecise threshold: specificity" in frozen.thresholds["edema"]["spec80"].note


@pytest.mark.slow
def test_tune_must_hold_the_rater(made, ground):
    m = made(raters={"other": 1.0}, sites={"t": 50})
    tune = build_scores(join_tables(m.images, m.labels, m.predictions, EvaluationConfig()))
    with pytest.raises(InputError, match="predictions by 'acme'; found only by other"):
        from_tune(tune, "acme", ground, CONFIG)
    m = made(sites={"t": 50})
    tune = build_scores(join_tables(m.images, m.labels, m.predictions, EvaluationConfig()))
    frozen = from_tune(tune, "acme", ground, CONFIG)
    assert frozen.tested.all()
    assert np.isfinite(frozen.thresholds["edema"]["spec80"].value)
    assert 0.2 < frozen.lines["edema"].slope < 5
