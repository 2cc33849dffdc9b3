"""Every row of estimates has a known analysis and metric, and texts that its codes render; few calls lead to it."""

import traceback
from pathlib import Path

import numpy as np
import pytest

import overread
from overread import codes
from overread import evaluation as ev
from overread.codes import Analysis, Metric
from overread.evaluation.context.estimate_rows import EstimateKey, row
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import roc
from overread.stats.estimate import Estimate

EVALUATION = Path(overread.__file__).parent / "evaluation"
FRAMES = 7  # of the evaluation, from `evaluate` to the call of a statistic; the progress of loops is not counted


def run(made, **options):
    m = made(raters={"acme": 1.5, "other": 0.9}, sites={"a": 60, "b": 40})
    config = EvaluationConfig(**({"replicates": 100, "external_sites": ("b",), "subgroups": ("sex",)} | options))
    return ev.evaluate(m.images, m.labels, m.predictions, config, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def evidence(made):
    return run(made)


@pytest.mark.slow
def test_every_row_has_an_analysis_and_a_metric_of_the_enumerations(evidence):
    assert set(evidence.estimates["analysis"]) <= {str(a) for a in Analysis}
    assert set(evidence.estimates["metric"]) <= {str(m) for m in Metric}


def test_a_row_of_an_unknown_metric_or_with_a_text_without_codes_is_refused():
    place = EstimateKey(Analysis.STANDALONE, "edema", "acme", "internal")
    with pytest.raises(ValueError, match="not_a_metric"):
        row(place, "not_a_metric", Estimate(0.5))
    with pytest.raises(TypeError, match="a text without codes"):
        row(place, Metric.AUC, Estimate(0.5, note="plain"))


@pytest.mark.parametrize(
    ("column", "kind", "text", "separator"),
    [("method_code", "methods", "method", ", "), ("note_codes", "notes", "note", "; ")],
)
def test_the_codes_of_a_row_render_its_text(evidence, column, kind, text, separator):
    rows = evidence.estimates.select(text, column).unique()
    assert rows.height > 10
    for shown, encoded in rows.iter_rows():
        assert separator.join(codes.render(kind, code) for code in codes.decode(encoded)) == shown


def test_the_account_has_the_codes_of_its_reasons(evidence):
    for reason, encoded in evidence.account.select("reason", "reason_code").iter_rows():
        assert "; ".join(codes.render("notes", code) for code in codes.decode(encoded)) == reason


@pytest.mark.slow
def test_few_calls_lead_from_evaluate_to_a_statistic(made, monkeypatch):
    found = {}
    for name in ("auc", "influence", "compare_aucs"):
        monkeypatch.setattr(roc, name, counted(getattr(roc, name), name, found))
    run(made)
    assert set(found) == {"auc", "influence", "compare_aucs"}
    assert max(found.values()) <= FRAMES, found


def counted(statistic, name, found):
    """The statistic, keeping the largest number of frames of the evaluation that led to it."""

    def called(*given, **options):
        frames = [f for f in traceback.extract_stack() if EVALUATION in Path(f.filename).parents]
        n = sum(Path(f.filename).name != "progress.py" for f in frames)
        found[name] = max(found.get(name, 0), n)
        return statistic(*given, **options)

    return called
