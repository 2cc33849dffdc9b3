"""Methods in words: a sentence for every method that an evaluation uses, and for every metric that is documented."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from overread import evaluation, integrity
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.reporting.methods.bibliography import REFERENCES
from overread.reporting.methods.methods_section import _training, methods, methods_text
from overread.reporting.methods.sentences import Sentence, kinds, told, undefined, untold
from overread.reporting.methods.wording import READ, SENTENCES
from overread.reporting.report_data import read_evidence
from overread.simulation import simulated_readers as simulated

DOCS = Path(__file__).parents[3] / "docs" / "reference"
ALL = (*SENTENCES, *READ)


def _row(**more):
    keys = ("analysis", "metric", "at", "finding", "reference", "policy", "method", "note")
    return {**dict.fromkeys(keys, ""), "analysis": "standalone", "metric": "auc", **more}


@pytest.fixture(scope="module")
def evaluated():
    """Estimates of a study that uses all that an evaluation without reads can: sites, models, thresholds, subgroups."""
    rng = np.random.default_rng(5)
    patients = {"a": 140, "b": 140, "x": 150}
    site = np.repeat([s for s, n in patients.items() for _ in range(n)], 2)
    n = len(site)
    key = [f"{i:04d}" for i in range(n)]
    people = np.arange(n) // 2
    images = pl.DataFrame(
        {
            "image_id": key,
            "case_id": key,
            "patient_id": [f"p{i}" for i in people],
            "site": site,
            "sex": rng.choice(["F", "M"], people.max() + 1)[people],
            "age_years": rng.integers(20, 90, people.max() + 1)[people],
            "view": rng.choice(["PA", "AP"], n),
        }
    )
    labels, scores = [], []
    for finding in ("edema", "mass"):
        y = rng.random(n) < 0.4
        state = np.where(y, "present", "absent")
        labels.append(pl.DataFrame({"case_id": key, "finding": finding, "source": "expert", "state": state}))
        for model, strength in {"pooled": 1.8, "a-only": 1.2, "b-only": 1.0, "pooled/seed-1": 1.7}.items():
            score = expit(strength * y + rng.normal(size=n) - 1)
            scores.append(
                pl.DataFrame({"image_id": key, "finding": finding, "model": model, "shift": "none", "score": score})
            )
    points = {f: {"spec90": {"threshold": 0.6, "at": "operating_point=spec90"}} for f in ("edema", "mass")}
    prevalence = {s: {"edema": 0.3, "mass": 0.4} for s in "ab"}
    homes = {"pooled": ["a", "b"], "a-only": ["a"], "b-only": ["b"]}
    models = {m: {"training_sites": h, "operating_points": points, "prevalence": prevalence} for m, h in homes.items()}
    config = EvaluationConfig(
        replicates=100,
        roles={"pooled": "pooled", "single": {"a-only": "a", "b-only": "b"}},
        members={"pooled": ("pooled/seed-1",)},
        external_sites=("x",),
        subgroups=("sex", "age_band"),
    )
    frames = (images, pl.concat(labels), pl.concat(scores))
    return evaluation.evaluate(*frames, config, rng=np.random.default_rng(1), models=models).estimates


@pytest.fixture(scope="module")
def evaluated_with_reads():
    """Estimates of a study with graded reads of five readers in two arms, and three references."""
    rng = np.random.default_rng(3)
    key = [f"{i:03d}" for i in range(200)]
    severity = np.where(rng.random(200) < 0.45, rng.uniform(0.2, 0.9, 200), 0.0)
    images = pl.DataFrame({"image_id": key, "case_id": key, "patient_id": key, "site": ""})
    state = np.where(severity > 0, "present", "absent")
    labels = pl.DataFrame({"case_id": key, "finding": "edema", "source": "panel", "state": state})
    score = expit(2 * severity + rng.normal(size=200) - 1)
    scores = pl.DataFrame({"image_id": key, "finding": "edema", "model": "acme", "shift": "none", "score": score})
    truth = pl.DataFrame({"case_id": key[:140], "finding": "edema", "severity": severity[:140]})
    advice = truth.with_columns(score=pl.Series(score[:140]))
    people = [simulated.Reader(f"r{k}", 2.0 + 0.1 * k, 0.1 * (k - 2), unsure=0.1) for k in range(5)]
    reads = simulated.reads(truth, people, rng=rng, arms={"unaided": None, "aided:score": advice})
    config = EvaluationConfig(
        replicates=100, subgroups=(), references=("panel", "majority", "dawid-skene"), reader_made=()
    )
    frames = (images, labels, scores)
    return evaluation.evaluate(*frames, config, rng=np.random.default_rng(1), reads=reads).estimates


@pytest.mark.slow
@pytest.mark.parametrize("study", ["evaluated", "evaluated_with_reads"])
def test_every_method_of_an_evaluation_has_a_sentence(study, request):
    estimates = request.getfixturevalue(study)
    assert estimates["method"].n_unique() > 8
    assert untold(kinds(estimates), ALL) == []
    assert undefined(kinds(estimates), ALL) == []


@pytest.mark.slow
def test_the_methods_of_a_comparison_with_readers_are_told(evaluated_with_reads, evidence_folder):
    folder = evidence_folder(evaluated_with_reads.to_dicts())
    _, cited = methods(read_evidence(folder, {}))
    paragraphs = dict(cited.paragraphs)
    for term, words in (
        ("Readers", "product bootstrap"),
        ("Readers", "U-statistics"),
        ("Readers", "Obuchowski and Rockette"),
        ("Agreement", "Gwet's errors, by patient"),
        ("Whose word is truth", "Dawid–Skene"),
        ("Decision curves", "imaginary patients"),
    ):
        assert words in paragraphs[term], (term, words)
    assert "Weights" not in paragraphs  # reads weigh there: no case was sampled


def test_a_method_without_a_sentence_is_found_and_said(evidence_folder):
    known = _row(method="DeLong, Wald")
    new = _row(metric="sensitivity", method="a jackknife of readers")
    assert untold([known, new], ALL) == ["a jackknife of readers"]
    assert undefined([_row(metric="kolmogorov")], ALL) == ["standalone kolmogorov"]
    numbers = dict.fromkeys(("estimate", "low", "high", "se", "p", "p_adjusted"), 0.5)
    keys = dict.fromkeys(("arm", "contrast", "population", "subgroup", "level"), "")
    section, _ = methods(read_evidence(evidence_folder([{**new, **keys, **numbers, "rater": "a"}]), {}))
    assert any("without a sentence here: a jackknife of readers." in b.text for b in section.blocks[:-1])


@pytest.mark.parametrize("page", ["estimates.md", "estimates-readers.md"])
def test_every_metric_that_the_reference_lists_has_a_sentence(page):
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    cells = [[c.strip().strip("`") for c in line.split("|")[1:3]] for line in lines if line.startswith("| ")]
    rows = [_row(analysis=c[0], metric=c[1]) for c in cells if c[0] not in ("analysis", "curve", "---")]
    curves = (
        "roc",
        "calibration",
        "recalibrated",
        "calibration_smooth",
        "recalibrated_smooth",
        "net_benefit",
        "treat_all",
    )
    assert len(rows) > 15
    assert undefined([r for r in rows if r["analysis"] not in curves], ALL) == []


def test_a_sentence_stands_only_where_all_its_patterns_fit_one_row():
    sentence = Sentence("AUC", "By {x}.", metric="auc", method="DeLong")
    assert sentence.fits(_row(method="paired DeLong"))
    assert not sentence.fits(_row(metric="auc_drop", method="DeLong"))  # metrics fit as a whole
    apart = [_row(method="Wilson"), _row(metric="sensitivity", method="DeLong")]
    assert list(told(apart, [sentence], {"x": "y"})) == []
    assert list(told([_row(method="DeLong")], [sentence], {"x": "y"})) == [("AUC", "By y.")]


def test_sentences_of_a_paragraph_stand_together_in_their_order():
    said = [
        Sentence("A", "one.", metric="auc"),
        Sentence("B", "two.", metric="auc"),
        Sentence("A", "three.", metric="auc"),
    ]
    assert list(told([_row()], said, {})) == [("A", "one. three."), ("B", "two.")]


def test_every_reference_that_a_sentence_cites_is_listed():
    import re

    cited = {k for s in SENTENCES for group in re.findall(r"\[@([a-z0-9,]+)\]", s.text) for k in group.split(",")}
    assert cited <= set(REFERENCES)


@pytest.mark.slow
def test_the_methods_to_paste_hold_every_paragraph_and_reference(made):
    _, cited = methods(read_evidence(made.evidence, made.study, cohort_folder=made.cohort, models=made.models))
    text = methods_text(cited)
    assert all(f"**{term}.** {words}" in text for term, words in cited.paragraphs)
    assert all(f"\n{n}. {r.text}" in text for n, r in enumerate(cited.references, start=1))
    assert "doi:10.2307/2531595" in text
    assert "[@" not in text


SOURCE = Path(__file__).parents[3] / "src/overread"


def _texts(*rows):
    values = dict.fromkeys(("replicates", "findings", "bins", "columns", "set", "least", "gain"), "")
    values |= {"least_present": "20", "least_absent": "20"}
    return " ".join(text for _, text in told(rows, SENTENCES, values))


@pytest.mark.parametrize(
    ("words", "cause", "other"),
    [
        (
            "Patients were drawn within strata",
            {"method": "Hajek, linearised variance, patients within strata"},
            {"method": "pairs within strata, DeLong, clustered by patient (Obuchowski 1997)"},
        ),
        ("Its variance is DeLong's", {"method": "DeLong, Wald"}, {"method": "Hajek, linearised variance"}),
        (
            "Its variance is DeLong's",
            {"method": "DeLong, clustered by patient (Obuchowski 1997), Wald"},
            {"method": "influence values summed per patient (DeLong 1988; Obuchowski 1997), normal"},
        ),
        (
            "Its variance is DeLong's",
            {"method": "paired DeLong"},
            {"method": "patients resampled (DeLong does not apply: the truth changes)"},
        ),
        ("the variance of the AUC is linearised", {"method": "Hajek, linearised variance"}, {"method": "DeLong"}),
        (
            "frozen with the model",
            {"metric": "threshold", "method": "frozen with the model"},
            {"metric": "threshold", "method": "fitted on half of the test patients"},
        ),
        (
            "random half of the test patients",
            {"metric": "threshold", "method": "fitted on half of the test patients"},
            {"metric": "threshold", "method": "fitted on tuning cases"},
        ),
        (
            "fitted on tuning cases",
            {"metric": "threshold", "method": "fitted on tuning cases"},
            {"metric": "threshold", "method": "frozen with the model"},
        ),
        (
            "the variances are added",
            {"analysis": "drop", "metric": "auc_drop", "method": "DeLong", "note": ""},
            {
                "analysis": "drop",
                "metric": "auc_drop",
                "method": "DeLong",
                "note": "n patients in both populations, so that the variances cannot be summed",
            },
        ),
        (
            "The interval of a mean difference over several findings is a bootstrap interval",
            {
                "analysis": "comparison",
                "metric": "auc_difference",
                "finding": "(mean)",
                "method": "bootstrap, percentile",
            },
            {"analysis": "comparison", "metric": "auc_difference", "finding": "(mean)", "method": "paired DeLong"},
        ),
        (
            "tied scores leave no threshold",
            {"metric": "sensitivity_at_specificity", "method": "attainable step on it"},
            {"metric": "sensitivity", "method": "Wilson"},
        ),
        (
            "finite population",
            {"method": "Hajek, linearised variance, patients within strata, finite population"},
            {"method": "Hajek, linearised variance, patients within strata"},
        ),
    ],
)
def test_a_sentence_stands_where_its_cause_is_and_nowhere_else(words, cause, other):
    assert words in _texts(_row(**cause))
    assert words not in _texts(_row(**other))


def _methods(evidence_folder, rows, **more):
    numbers = dict.fromkeys(("estimate", "low", "high", "se", "p", "p_adjusted"), 0.5)
    keys = dict.fromkeys(("arm", "contrast", "population", "subgroup", "level"), "") | {"rater": "a"}
    _, cited = methods(read_evidence(evidence_folder([{**_row(), **keys, **numbers, **r} for r in rows]), {}))
    return dict(cited.paragraphs)


def test_the_reference_standard_is_that_of_the_main_analysis(evidence_folder):
    rows = [{"reference": "report"}, {"analysis": "policies", "reference": "panel"}]
    assert "Reference standard: report." in _methods(evidence_folder, rows)["Reference standard and join"]


@pytest.mark.slow
def test_a_mean_within_sites_is_stated_where_a_population_has_several_sites(evidence_folder):
    words = "The AUC of a population of several sites is the unweighted mean"
    assert words not in _methods(evidence_folder, [{"method": "DeLong"}])["AUC"]
    several = [{"method": "DeLong"}, {"method": "DeLong", "subgroup": "site", "level": "north"}]
    assert words in _methods(evidence_folder, several)["AUC"]
    assert "a threshold of its own at each site" in _methods(evidence_folder, several)["AUC"]


def test_no_sentence_names_a_method_that_no_evaluation_uses():
    """Exact intervals of rates and predictive values at a stated prevalence are functions, and in no evaluation."""
    evaluated = "".join(p.read_text(encoding="utf-8") for p in (SOURCE / "evaluate").glob("*.py"))
    assert "Clopper" not in evaluated
    assert not [s for s in SENTENCES if "Clopper" in s.method or "Mercaldo" in s.method]


def test_families_of_reader_tests_are_in_the_methods_where_p_is_adjusted(evidence_folder):
    row = {"analysis": "readers", "metric": "sensitivity_difference", "at": "test=u-statistic"}
    words = "adjusted by Holm's method"
    assert words in _methods(evidence_folder, [row])["Readers"]
    assert words not in _methods(evidence_folder, [row | {"p_adjusted": float("nan")}])["Readers"]


@pytest.mark.slow
@pytest.mark.parametrize("test", ["u-statistic", "obuchowski-rockette"])
def test_a_reader_test_that_gave_no_number_is_not_in_the_methods(evidence_folder, test):
    words = {"u-statistic": "U-statistics", "obuchowski-rockette": "Obuchowski and Rockette"}[test]
    row = {"analysis": "readers", "metric": "sensitivity_difference", "at": f"test={test}"}
    assert words in _methods(evidence_folder, [row])["Readers"]
    assert words not in _methods(evidence_folder, [row | {"estimate": float("nan")}])["Readers"]


def test_models_that_were_trained_differently_are_told_apart():
    one, other = {"epochs": 5, "batch_size": 8}, {"epochs": 9, "batch_size": 8}
    same = SimpleNamespace(trainings={"a": {"config": {"training": one}}, "b": {"config": one}})
    assert _training(same).startswith("Training from random weights")
    apart = SimpleNamespace(trainings={"a": {"config": one}, "b": {"config": other}})
    assert "“a”: Training" in _training(apart)
    assert "at most 9 epochs" in _training(apart).partition("“b”: ")[2]


def test_subgroup_columns_that_have_no_estimate_are_not_in_the_methods(evidence_folder):
    folder = evidence_folder([_subgroup("sex")])
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record.setdefault("config", {})["subgroups"] = ["sex", "age_band"]
    integrity.write_sealed(folder / "run.json", record)
    _, cited = methods(read_evidence(folder, {}))
    text = dict(cited.paragraphs)["Subgroups"]
    assert "Subgroups by sex were" in text
    assert "age" not in text


def _subgroup(name):
    numbers = dict.fromkeys(("estimate", "low", "high", "se", "p", "p_adjusted"), 0.5)
    keys = dict.fromkeys(("arm", "contrast", "population"), "")
    return {**_row(analysis="subgroups"), **keys, **numbers, "rater": "a", "subgroup": name, "level": "x"}
