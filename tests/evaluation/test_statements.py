"""What an evaluation says of findings, means, populations and thresholds, where it was once silent or wrong."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from checked_join import join_tables

from overread import codes
from overread.evaluation import EvaluationConfig, evaluation_text
from overread.evaluation.context.site_populations import Population
from overread.evaluation.evidence import evaluate
from overread.evaluation.hypotheses.reference_effect import _decided
from overread.evaluation.subgroups.group_gaps import gap_part

pytestmark = pytest.mark.slow
N = 160


def small(scored: dict[str, tuple[str, ...]], uncertain: str = ""):
    """Images, labels and predictions of these models; all labels of one finding may be uncertain."""
    rng = np.random.default_rng(5)
    names = [f"c{i:03d}" for i in range(N)]
    images = pl.DataFrame({"image_id": names, "patient_id": names, "case_id": names, "site": "north"})
    truth = {f: rng.random(N) < 0.5 for f in sorted({f for found in scored.values() for f in found})}
    labels = [
        {"case_id": c, "finding": f, "source": "panel",
         "state": "uncertain" if f == uncertain else "present" if y else "absent"}
        for f, ys in truth.items() for c, y in zip(names, ys, strict=True)
    ]  # fmt: skip
    scores = [
        {"image_id": c, "finding": f, "model": model, "shift": "none", "score": float(s)}
        for model, found in scored.items()
        for f in found
        for c, s in zip(names, np.clip(0.3 * truth[f] + 0.6 * rng.random(N), 0, 1), strict=True)
    ]
    return images, pl.DataFrame(labels), pl.DataFrame(scores)


def evaluated(config: EvaluationConfig, scored: dict[str, tuple[str, ...]], uncertain: str = ""):
    return evaluate(*small(scored, uncertain), config, rng=1)


CONFIG = EvaluationConfig(replicates=100)
BOTH = {"acme": ("edema", "mass")}


def test_a_finding_with_uncertain_labels_only_is_named_in_the_account_and_the_printed_result():
    evidence = evaluated(CONFIG, BOTH, uncertain="mass")
    assert not (evidence.estimates["finding"] == "mass").any()
    said = "scored, but not evaluated, because all labels are uncertain and excluded (160): mass"
    assert said in evidence.account["reason"].to_list()
    assert f"Findings {said}" in evaluation_text.as_text(evidence, CONFIG)


def test_a_finding_without_a_label_is_named_and_one_that_counts_is_not():
    images, labels, scores = small(BOTH)
    unlabelled = labels.filter(pl.col("finding") != "mass")
    reasons = join_tables(images, unlabelled, scores, CONFIG).account["reason"].to_list()
    assert "scored, but not evaluated, because no scored case has a label that counts: mass" in reasons
    counted = replace(CONFIG, uncertain="absent")
    reasons = join_tables(*small(BOTH, uncertain="mass"), counted).account["reason"].to_list()
    assert not [r for r in reasons if "not evaluated, because" in r]


def test_two_models_of_different_findings_have_no_mean_because_they_share_none():
    evidence = evaluated(CONFIG, {"acme": ("edema",), "beta": ("mass",)})
    means = evidence.estimates.filter(pl.col("analysis") == "standalone", pl.col("finding") == "(mean)")
    notes = set(means.filter(pl.col("metric") == "auc")["note"])
    assert notes == {"NE: no finding is scored by every model"}


def test_the_printed_result_does_not_call_a_test_set_of_unknown_origin_internal():
    text = evaluation_text.as_text(evaluated(CONFIG, BOTH), CONFIG)
    assert "Populations: internal" not in text
    assert "whether it is internal or external is not known (training sites of acme not recorded)" in text


def test_the_populations_of_documented_models_are_named():
    models = {"acme": {"training_sites": ["north"]}}
    evidence = evaluate(*small(BOTH), CONFIG, rng=1, models=models)
    assert "Populations: internal\n" in evaluation_text.as_text(evidence, CONFIG)


def test_thresholds_in_notes_are_rounded_and_those_in_codes_are_not():
    note = codes.note("threshold_value", threshold=0.5679000000000001)
    assert note == "threshold 0.5679"
    assert codes.encode(note) == "threshold_value(threshold=0.5679000000000001)"
    assert codes.note("specificity_unattainable", share=0.5, score=0.30000000000000004).endswith("score, 0.3")


def test_methods_of_rates_do_not_cite_papers_on_aucs():
    assert codes.method("influence_values") == "linearised variance from sums per patient, normal"


def test_h2_without_an_external_site_is_said_to_be_untested_not_undecided():
    panel = SimpleNamespace(references=("panel", "report"))
    inside = {"acme": (Population("internal", ("north",)),)}
    verdict = _decided(SimpleNamespace(panel=panel, populations=inside), [], [])
    assert verdict == ("cannot tell", "H2 could not be tested: there is no external site.")


def test_a_group_in_which_no_finding_can_be_evaluated_is_not_given_as_0_of_0():
    measure = SimpleNamespace(areas=lambda finding: {}, levels=("F", "M"))
    part = gap_part(SimpleNamespace(macro=lambda: ("edema",)), measure)
    assert set(part.lost.values()) == {"no finding is evaluable in every group"}
