"""A fact is present if its cause is in the tables and records of a study, and only then."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from overread import codes, findings, tables
from overread.codes.sentences import all_sentences
from overread.reporting.methods.facts import study_facts
from overread.reporting.methods.methods_section import fact_sentences
from overread.reporting.report_data import Cast, ReportData

NAN = float("nan")
CAST = Cast(
    raters=("acme",),
    members=(),
    findings=("edema",),
    populations=("internal", "external:east"),
    own={},
    roles={},
    trained=False,
)
RECIPE = {"size": 128, "fit": "pad", "window": "full"}
AC = {"analysis": "agreement", "metric": "gwet_ac1"}
TRAINING = {"epochs": 6, "batch_size": 32, "learning_rate": 3e-4, "weights": None, "positive_weight_cap": 10.0}


def rows(*given):
    """A table of estimates."""
    keys = dict.fromkeys(("at", "contrast", "subgroup", "level", "reference", "policy"), "")
    numbers = {"estimate": 0.8, "low": 0.7, "high": 0.9, "se": 0.05, "p": NAN, "p_adjusted": NAN, "confidence": 0.95}
    common = {"analysis": "standalone", "metric": "auc", "finding": "edema", "rater": "acme", "arm": "model"}
    population = {"population": "internal"}
    frame = pl.DataFrame([common | keys | population | numbers | one for one in given], infer_schema_length=None)
    empty = tables.empty("estimates")
    return pl.concat([empty, frame.cast({c: empty.schema[c] for c in frame.columns})], how="diagonal")


def account(text, count=3):
    """An account of one line."""
    line = {"stage": "join", "unit": "labels", "reason": text, "reason_code": codes.encode(text), "count": count}
    return pl.concat([tables.empty("account"), pl.DataFrame([line])], how="diagonal_relaxed")


def curve(name, **more):
    """One point of a curve."""
    point = {"curve": name, "x": 0.1, "y": 0.5, "low": 0.4, "high": 0.6, **more}
    return pl.concat([tables.empty("curves"), pl.DataFrame([point])], how="diagonal_relaxed")


def verdict(hypothesis):
    """The verdict on a hypothesis."""
    line = pl.DataFrame([{"hypothesis": hypothesis, "verdict": "inconclusive"}])
    return pl.concat([tables.empty("verdicts"), line], how="diagonal_relaxed")


def images(*splits):
    """Images of these splits."""
    return pl.DataFrame({"split": list(splits)})


def data(**more):
    """A study without anything, and what is given."""
    names = ("verdicts", "curves", "joined", "account", "flow", "images", "labels", "regions")
    frames = {name: tables.empty(name) for name in names}
    given = {"estimates": rows({}), "cast": CAST, "study": {}, "run": {}}
    given |= {"written": given["estimates"], "vocabulary": findings.load("chest")}
    return ReportData(**(frames | given | more))


def cases(*patients):
    """The evaluated cases of these patients, one each time that a patient is named."""
    frame = pl.DataFrame({"case_id": [f"c{i}" for i in range(len(patients))], "patient_id": list(patients)})
    return pl.concat([tables.empty("joined"), frame], how="diagonal_relaxed")


def weighted(*weights):
    """Evaluated cases with these sampling weights."""
    frame = cases(*(f"p{i}" for i in range(len(weights))))
    return frame.with_columns(weight=pl.Series(weights), shift=pl.lit("none"))


def run(**config):
    return {"config": config}


def sub(**more):
    return {"analysis": "subgroups", "subgroup": "sex", **more}


def arms(**more):
    """A row of all readers together that compares the new arm with the usual one."""
    row = {"analysis": "readers", "metric": "auc_difference", "rater": "(readers)", "arm": "new"}
    return row | {"contrast": "arm:usual"} | more


NO_EXTERNAL = replace(CAST, populations=("internal",))
SPLIT = {"cohort": True, "images": images("train", "test")}
SEVERAL = [{"subgroup": "site", "level": s} for s in ("north", "south")]
OVER_PAIRS = [*SEVERAL, {"note_codes": "aggregation_pooled(n_sites=2, n_pairs=9, n_sites_without_pair=0)"}]
METHODS = {"finite_population": "finite_population", "sampled_within_strata": "strata"}
FINDING_UNSCORED = codes.note("finding_unscored", rater="acme", findings=("mass",), share="1%", of=100)

# The fact; a study with its cause; a study in which it does not hold.
CASES = [
    ("protocol", {"study": {"protocol_hash": "ab"}}, {}),
    ("no_protocol", {}, {"study": {"protocol_hash": "ab"}}),
    ("cohort", {"cohort": True}, {}),
    ("split_by_patient", SPLIT | {"cohort_run": run(split_by="patient")}, SPLIT | {"cohort_run": run(split_by="time")}),
    ("split_by_time", SPLIT | {"cohort_run": run(split_by="time")}, SPLIT | {"cohort_run": run(split_by="patient")}),
    ("split_given", SPLIT | {"cohort_run": run(split_file="list.csv")}, SPLIT | {"cohort_run": run(split_file="")}),
    ("duplicates_correlation", {"duplicates": pl.DataFrame(), "stored_size": 128},
     {"duplicates": pl.DataFrame(), "stored_size": 32}),
    ("duplicates_pixels", {"duplicates": pl.DataFrame(), "stored_size": 32}, {"stored_size": 32}),
    ("preprocessing", {"models": {"acme": {"recipe": RECIPE}}}, {"models": {"acme": {}}}),
    ("case_score", {"account": account(codes.note("case_score_combined", how="mean"))}, {}),
    ("internal_recorded", {"models": {"acme": {"training_sites": ["north"]}}}, {}),
    ("external_recorded", {"models": {"acme": {"training_sites": ["north"]}}},
     {"models": {"acme": {"training_sites": ["north", "east"]}}}),
    ("external_declared", {}, {"models": {"acme": {"training_sites": ["north"]}}}),
    ("provenance_unknown", {"cast": NO_EXTERNAL}, {}),
    ("several_sites", {"estimates": rows(*SEVERAL)}, {"estimates": rows(SEVERAL[0])}),
    ("mean_of_sites", {"estimates": rows(*SEVERAL)}, {"estimates": rows(*OVER_PAIRS)}),
    ("pairs_of_sites", {"estimates": rows(*OVER_PAIRS)}, {"estimates": rows(*SEVERAL)}),
    ("trained_elsewhere", {}, {"models": {"acme": {"training_sites": ["north"]}}}),
    ("network", {"models": {"acme": {"architecture": {"network": "densenet-small"}}}}, {"models": {"acme": {}}}),
    ("densenet", {"models": {"acme": {"architecture": {"network": "densenet-small"}}}},
     {"models": {"acme": {"architecture": {"network": "resnet18"}}}}),
    ("ensemble", {"models": {"acme": {"kind": "ensemble", "members": ["seed-1", "seed-2"]}}},
     {"models": {"acme": {"kind": "single"}}}),
    ("recalibration_frozen", {"models": {"acme": {"recalibration": {"edema": {}}}}}, {"models": {"acme": {}}}),
    ("initialisation_random", {"trainings": {"acme": {"config": TRAINING}}},
     {"trainings": {"acme": {"config": TRAINING | {"weights": "imagenet"}}}}),
    ("initialisation_imagenet", {"trainings": {"acme": {"config": TRAINING | {"weights": "imagenet"}}}},
     {"trainings": {"acme": {"config": TRAINING}}}),
    ("initialisation_file", {"trainings": {"acme": {"config": TRAINING | {"weights": "a.safetensors"}}}},
     {"trainings": {"acme": {"config": TRAINING}}}),
    ("training", {"trainings": {"acme": {"config": TRAINING}}}, {"trainings": {"acme": {}}}),
    ("training_loss", {"trainings": {"acme": {"config": TRAINING}}}, {"trainings": {"acme": {}}}),
    ("early_stopping", {"trainings": {"acme": {"config": TRAINING | {"patience": 5}}}},
     {"trainings": {"acme": {"config": TRAINING}}}),
    ("training_uncertain", {"trainings": {"acme": {"config": TRAINING | {"uncertain": {"*": "ignore"}}}}},
     {"trainings": {"acme": {"config": TRAINING}}}),
    ("reference_main", {"estimates": rows({"reference": "panel"})},
     {"estimates": rows({"analysis": "policies", "reference": "panel"})}),
    ("uncertain_excluded", {"account": account(codes.note("uncertain_excluded"))}, {}),
    ("uncertain_recoded", {"account": account(codes.note("uncertain_recoded", state="absent"))}, {}),
    ("other_uncertain_excluded", {"account": account(codes.note("other_uncertain_excluded", source="nlp"))}, {}),
    ("other_uncertain_recoded",
     {"account": account(codes.note("other_uncertain_recoded", source="nlp", state="absent"))}, {}),
    ("label_missing", {"account": account(codes.note("label_missing"))}, {}),
    ("missing_scores", {"account": account(codes.note("labelled_not_scored", rater="acme", share="1%", of=100))},
     {"account": account(FINDING_UNSCORED)}),
    ("missing_finding_scores", {"account": account(FINDING_UNSCORED)}, {}),
    ("policies_uncertain",
     {"estimates": rows(*({"analysis": "policies", "policy": f"uncertain={p}"} for p in ("ignore", "absent")))},
     {"estimates": rows({"analysis": "policies", "policy": "uncertain=ignore", "reference": "report"})}),
    ("policies_reference",
     {"estimates": rows({"reference": "panel"}, {"analysis": "policies", "reference": "report"})},
     {"estimates": rows({"reference": "panel"}, {"analysis": "policies", "reference": "panel"})}),
    ("minimum", {"run": run(minimum_present=20, minimum_absent=20)}, {}),
    ("h1_rule", {"run": run(smallest_worthwhile_gain=0.01), "verdicts": verdict("H1")}, {"verdicts": verdict("H2")}),
    ("h2_rule", {"run": run(smallest_worthwhile_gain=0.01), "verdicts": verdict("H2")}, {}),
    ("replicates", {"run": run(replicates=2000)}, {}),
    ("confidence", {}, {"estimates": tables.empty("estimates")}),
    ("findings_chosen", {"run": run(findings=["edema"]), "estimates": rows({"finding": "(mean)"})},
     {"run": run(findings=["edema"])}),
    ("roc_band", {"curves": curve("roc")}, {"curves": curve("roc", low=NAN)}),
    ("recalibrated_here", {"curves": curve("recalibrated")}, {"curves": curve("calibration")}),
    ("net_benefit_raw", {"estimates": rows({"analysis": "decision", "metric": "net_benefit", "at": "threshold=0.1"})},
     {"estimates": rows({"analysis": "decision", "metric": "net_benefit", "at": "threshold=0.1"}),
      "models": {"acme": {"recalibration": {"edema": {}}}}}),
    ("decision_thresholds", {"estimates": rows({"metric": "net_benefit", "at": "threshold=0.1"})},
     {"estimates": rows({"metric": "net_benefit", "at": "threshold=0.1", "estimate": NAN})}),
    ("subgroups", {"estimates": rows(sub(level="F"), sub(level="M"))},
     {"estimates": rows(sub(level="F"), sub(level="M", estimate=NAN))}),
    ("majority", {"estimates": rows({"analysis": "readers", "reference": "majority"})}, {}),
    ("majority_others", {"estimates": rows({"analysis": "readers", "reference": "majority of the others"})}, {}),
    ("dawid_skene", {"estimates": rows({"analysis": "H2", "reference": "dawid-skene"})}, {}),
    ("dawid_skene_failed",
     {"estimates": rows({"analysis": "readers", "note_codes": codes.encode(codes.note("dawid_skene_not_converged"))})},
     {"estimates": rows({"analysis": "readers",
                         "note_codes": codes.encode(codes.note("dawid_skene_converged", iterations=9))})}),
    ("dawid_skene_refused",
     {"estimates": rows({"analysis": "readers", "estimate": NAN, "note_codes": codes.encode(
         codes.note("dawid_skene_refused", finding="edema"))})}, {"estimates": rows({"analysis": "readers"})}),
    ("gwet_ac1", {"estimates": rows(AC | {"at": ""})}, {"estimates": rows(AC | {"at": "weights=linear"})}),
    ("gwet_ac2", {"estimates": rows(AC | {"at": "weights=linear"})}, {"estimates": rows(AC | {"at": ""})}),
    ("graded_agreement", {"estimates": rows({"analysis": "agreement", "at": "weights=linear"})},
     {"estimates": rows({"analysis": "agreement", "at": "", "estimate": 0.5})}),
    ("intra_reader", {"estimates": rows({"analysis": "agreement", "at": "readings=first,second"})},
     {"estimates": rows({"analysis": "agreement", "at": "readings=first,second", "estimate": NAN})}),
    ("readers_design", {"estimates": rows({"analysis": "readers", "arm": "unaided", "rater": "r1", "n_cases": 90})},
     {"estimates": rows({"analysis": "readers", "arm": "model"})}),
    ("arms_compared", {"estimates": rows({"analysis": "readers", "rater": "(readers)", "contrast": "arm:unaided"})},
     {"estimates": rows({"analysis": "readers", "rater": "(readers)", "contrast": "rater:acme"})}),
    ("arms_by_others",
     {"estimates": rows({"analysis": "readers", "contrast": "arm:unaided", "reference": "majority of the others"})},
     {"estimates": rows({"analysis": "readers", "contrast": "rater:acme", "reference": "majority of the others"})}),
    ("arms_adjusted", {"estimates": rows({"analysis": "readers", "contrast": "arm:unaided", "p_adjusted": 0.1})},
     {"estimates": rows({"analysis": "readers", "contrast": "arm:unaided", "p_adjusted": NAN})}),
    ("model_tests_adjusted",
     {"estimates": rows({"analysis": "readers", "contrast": "rater:(readers)", "p_adjusted": 0.1})},
     {"estimates": rows({"analysis": "readers", "contrast": "arm:unaided", "p_adjusted": 0.1})}),
    ("rating_cutoff", {"estimates": rows(arms(at="rating_cutoff=3"))}, {"estimates": rows(arms())}),
    ("average_curve", {"curves": curve("roc", rater="(readers)")}, {"curves": curve("roc", rater="acme")}),
    ("reads_alone", {"estimates": rows(arms())}, {"estimates": rows(arms(), {"analysis": "readers"})}),
    ("reads_and_model", {"estimates": rows(arms(), {"analysis": "readers"})}, {"estimates": rows(arms())}),
    ("reference_of_reads",
     {"estimates": rows(arms(reference="surgery")), "cast": replace(CAST, raters=(), readers=("r1",))},
     {"estimates": rows(arms(reference="surgery"))}),
    ("cases_as_patients", {"account": account(codes.note("case_is_own_patient"))}, {}),
    ("patients_known", {}, {"account": account(codes.note("case_is_own_patient"))}),
    ("wilson_alone", {"estimates": rows({"method_code": "wilson"})},
     {"estimates": rows({"method_code": "wilson"}, {"method_code": "wilson_effective(n=81.3)"})}),
    ("reader_uncertain", {"account": account(codes.note("uncertain_calls_excluded", finding="edema"))}, {}),
    ("heatmaps", {"heatmaps": True}, {}),
    ("several_cases", {"joined": cases("a", "a", "b")}, {"joined": cases("a", "b")}),
    ("one_case_per_patient", {"joined": cases("a", "b")}, {"joined": cases("a", "a")}),
    ("equal_weights", {"joined": cases("a", "b")}, {"joined": weighted(1.0, 9.0)}),
    ("weighted_sample", {"joined": weighted(1.0, 9.0)}, {"joined": weighted(9.0, 9.0)}),
    ("one_case_per_patient", {"joined": cases("a", "b")},
     {"joined": cases("a", "b"), "account": account(codes.note("case_is_own_patient"))}),
    ("each_case_one_patient", {"joined": cases("a", "b"), "account": account(codes.note("case_is_own_patient"))},
     {"joined": cases("a", "b")}),
    ("effective_size", {"estimates": rows({"method_code": "wilson_effective(n=81.3) clustered_by_patient"})},
     {"estimates": rows({"method_code": "wilson clustered_by_patient"})}),
    *((fact, {"estimates": rows({"method_code": code})}, {"estimates": rows({"method_code": "obuchowski"})})
      for fact, code in METHODS.items()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cause", "other"), CASES, ids=[c[0] for c in CASES])
def test_a_fact_is_present_with_its_cause_and_not_without(name, cause, other):
    assert name in study_facts(data(**cause))
    assert name not in study_facts(data(**other))


def test_every_fact_that_a_sentence_needs_has_a_cause_here():
    assert {f for s in all_sentences() for f in s.facts} == {name for name, *_ in CASES}


def test_a_reader_read_all_cases_that_have_a_read_also_those_that_no_model_scored():
    read = {"analysis": "readers", "arm": "unaided", "rater": "r1", "contrast": "", "finding": "edema", "n_cases": 2}
    joined = cases("a", "b", "c").with_columns(rater=pl.lit("r1"), arm=pl.lit("unaided"), finding=pl.lit("edema"))
    (design,) = study_facts(data(estimates=rows(read), joined=joined))["readers_design"]
    assert design == {"readers": 1, "cases": 3, "each": ""}


def test_each_distinct_training_has_sentences_of_its_own():
    trainings = {"a": {"config": TRAINING}, "b": {"config": TRAINING}, "c": {"config": TRAINING | {"epochs": 9}}}
    text = fact_sentences(data(trainings=trainings), "Models", "optimiser")
    assert text.count("AdamW") == 2
    assert "“a” and “b”: AdamW" in text
    loss = fact_sentences(data(trainings=trainings), "Models", "loss")
    assert loss.startswith("Training of “a”, “b” and “c” minimised")  # said once, where only the length differs
    assert "“c”: AdamW" in text


def test_subgroups_are_those_with_two_estimated_groups_not_those_of_the_configuration():
    given = rows(sub(level="F"), sub(level="M"), sub(subgroup="view", level="UNKNOWN"))
    found = study_facts(data(estimates=given, run=run(subgroups=["sex", "age_band", "view"])))
    assert found["subgroups"] == [{"columns": ("sex",)}]


def test_unknown_is_not_a_group_even_beside_the_mean_of_all():
    given = rows(sub(subgroup="view", level="UNKNOWN"), sub(subgroup="view", level="all"))
    assert "subgroups" not in study_facts(data(estimates=given))


def test_a_count_of_no_case_with_several_images_is_no_fact():
    combined = account(codes.note("case_score_combined", how="mean"), count=0)
    assert "case_score" not in study_facts(data(account=combined))


def test_an_effective_size_allows_for_what_the_study_has():
    weighted = rows({"method_code": "wilson_effective(n=81.3) weighted clustered_by_patient"})
    found = study_facts(data(estimates=weighted, joined=cases("a", "b")))
    assert found["effective_size"] == [{"allowance": ", which allows for sampling weights"}]
    found = study_facts(data(estimates=weighted, joined=cases("a", "a")))
    assert found["effective_size"] == [
        {"allowance": ", which allows for several cases per patient and sampling weights"}
    ]


def test_a_recalibration_is_told_of_the_models_that_have_one():
    models = {"acme": {"recalibration": {"edema": {}}}, "beta": {}}
    found = study_facts(data(models=models))
    assert found["recalibration_frozen"] == [{"models": ("“acme”",)}]


def test_a_site_of_another_models_training_is_not_called_external_to_the_leading_model():
    found = study_facts(data(models={"acme": {"training_sites": ["north", "east"]}}))
    assert "external_recorded" not in found
    assert "external_declared" not in found


def test_the_most_cases_of_a_reader_are_those_of_one_arm_and_one_finding():
    one = {"analysis": "readers", "rater": "r1", "n_cases": 70}
    unaided, aided = one | {"arm": "unaided"}, one | {"arm": "aided"}
    for given, each in (
        ((unaided,), ""),
        ((unaided, aided), " in an arm"),
        ((unaided, aided | {"finding": "mass"}), " for a finding in an arm"),
    ):
        (found,) = study_facts(data(estimates=rows(*given)))["readers_design"]
        assert found == {"readers": 1, "cases": 70, "each": each}
