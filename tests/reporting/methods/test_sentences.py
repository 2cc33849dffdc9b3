"""A sentence of the Methods is printed if its cause is in the results, and only then.

`evaluated_rows.csv` holds rows of estimates as an evaluation wrote them: for each sentence the first that matches.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from overread import codes
from overread.codes.sentences import Condition, all_sentences, kinds_of, printed
from overread.reporting.methods.bibliography import REFERENCES

NAN = float("nan")
NUMBERS = ("estimate", "low", "high", "p", "p_adjusted")
SENTENCES = {sentence.name: sentence for sentence in all_sentences()}

# Every fact with the parameters that reporting/methods/facts.py gives it.
FACTS = {
    "protocol": {}, "no_protocol": {}, "cohort": {}, "heatmaps": {}, "several_sites": {}, "densenet": {},
    "majority": {}, "majority_others": {}, "dawid_skene": {}, "dawid_skene_failed": {}, "dawid_skene_refused": {},
    "graded_agreement": {}, "gwet_ac1": {}, "gwet_ac2": {}, "intra_reader": {}, "policies_uncertain": {},
    "mean_of_sites": {}, "pairs_of_sites": {},
    "roc_band": {}, "finite_population": {}, "sampled_within_strata": {}, "recalibrated_here": {},
    "arms_compared": {}, "arms_by_others": {}, "arms_adjusted": {}, "model_tests_adjusted": {},
    "rating_cutoff": {"cutoff": "3"}, "average_curve": {}, "reads_alone": {}, "reads_and_model": {},
    "cases_as_patients": {}, "patients_known": {}, "wilson_alone": {}, "internal_recorded": {},
    "equal_weights": {}, "weighted_sample": {},
    "reference_of_reads": {"references": ("the label surgery",)},
    "split_by_patient": {"splits": "training and test"}, "split_by_time": {"splits": "training and test"},
    "split_given": {"splits": "training and test"},
    "duplicates_correlation": {"correlation": "0.90", "least": 64},
    "duplicates_pixels": {"correlation": "0.90", "least": 64},
    "preprocessing": {"recipe": "128 x 128 pixels"}, "case_score": {"how": "mean", "cases": 2},
    "external_recorded": {"sites": ("east",)}, "external_declared": {"sites": ("east",), "n": 1},
    "provenance_unknown": {}, "trained_elsewhere": {"models": ("“acme”",)},
    "network": {"models": ("“acme”",), "network": "densenet-small", "n": 1},
    "ensemble": {"models": ("“acme”",), "members": 3}, "initialisation_random": {"models": ("“acme”",)},
    "initialisation_imagenet": {"models": ("“acme”",)},
    "initialisation_file": {"models": ("“acme”",), "weights": "weights.safetensors"},
    "training_loss": {"models": ("“acme”",), "cap": 10.0},
    "training": {"models": ("“acme”",), "rate": "0.001", "batch": "32", "length": "at most 6 epochs"},
    "early_stopping": {"models": ("“acme”",), "patience": 5},
    "training_uncertain": {"models": ("“acme”",), "handling": "uncertain labels were excluded"},
    "recalibration_frozen": {"models": ("“acme”",)}, "reference_main": {"sources": ("“panel”",)},
    "uncertain_excluded": {"n": 3}, "uncertain_recoded": {"n": 3, "state": "absent"}, "label_missing": {"n": 1},
    "missing_scores": {"n": 2, "rater": "“acme”"},
    "missing_finding_scores": {"n": 2, "rater": "“acme”", "findings": "mass"},
    "policies_reference": {"sources": ("“report”",)},
    "other_uncertain_excluded": {"n": 3, "source": "“nlp”"},
    "other_uncertain_recoded": {"n": 3, "source": "“nlp”", "state": "absent"},
    "minimum": {"present": 20, "absent": 20}, "findings_chosen": {"findings": ("Edema",)},
    "h1_rule": {"gain": "0.01", "levels": "95%"}, "h2_rule": {"gain": "0.01", "levels": "95%"},
    "replicates": {"replicates": 2000}, "confidence": {"levels": "95%"},
    "net_benefit_raw": {"models": ("“acme”",)}, "decision_thresholds": {"thresholds": "0.05 and 0.1"},
    "subgroups": {"columns": ("sex", "view")}, "readers_design": {"readers": 4, "cases": 120, "each": " in an arm"},
    "reader_uncertain": {"treated": "excluded"}, "several_cases": {}, "one_case_per_patient": {},
    "each_case_one_patient": {},
    "effective_size": {"allowance": ", which allows for several cases per patient"},
}  # fmt: skip
FACTS = {name: [parameters] for name, parameters in FACTS.items()}

# Methods that need no sentence of their own.
UNTOLD = {
    "qualifies a method that a sentence names": (
        "paired", "unpaired", "same_cases", "reads_pooled", "single_reader", "replicates", "rater_covariance",
        "mean_of_readers", "median_of_sittings", "cases_resampled", "patients_resampled", "attained_step", "jackknife",
    ),
    "scale of an interval, in the method of each row": (
        "scale_wald", "scale_t", "scale_logit", "scale_fisher", "scale_log_t",
    ),
    "a function of overread.stats that no evaluation uses": (
        "partial_auc", "mcclish", "equivalence", "clopper_pearson", "newcombe_independent",
        "newcombe_paired", "mcnemar", "cochran_q", "kosinski", "leisenring", "mercaldo",
        "fleiss_nee_landis", "icc", "lin",
    ),
    "reading grades, reading time, monitoring: other reports": (
        "signed_rank", "zeros_dropped", "zeros_ranked", "hodges_lehmann", "signed_rank_interval", "sign_test",
        "mean_difference_per_reader", "net_share_per_reader", "all_reads", "cases_in_both_arms",
        "ratio_of_geometric_means", "mixed_model", "betting",
    ),
    "plans of sample size": (
        "planned_width", "planned_half_width", "planned_null", "planned_power", "planned_confidence",
        "planned_mcnemar", "planned_paired_aucs", "hanley_mcneil", "hanley_mcneil_large", "obuchowski_variance",
        "pilot", "assumed_correlation", "design_effect", "reader_df",
    ),
}  # fmt: skip


def row(analysis="standalone", metric="auc", method="", note="", **more):
    """A finite row of estimates; method and note are texts with codes."""
    keys = {"analysis": analysis, "metric": metric, "finding": "edema", "subgroup": ""}
    texts = {"method_code": codes.encode(method), "note_codes": codes.encode(note)}
    return {**keys, **dict.fromkeys(NUMBERS, 0.5), **texts, **more}


def missing(one):
    """The row without its numbers, as an evaluation writes what it cannot compute."""
    return {**one, **dict.fromkeys(NUMBERS, NAN)}


def evaluated_rows():
    with (Path(__file__).parent / "evaluated_rows.csv").open(encoding="utf-8", newline="") as file:
        return [{**r, **{n: float(r[n] or NAN) for n in NUMBERS}} for r in csv.DictReader(file)]


def sampled(*names):
    return codes.methods(*map(codes.method, names))


# What the recorded evaluations do not contain.
FURTHER = [
    row(method=sampled("delong", "scale_wald")),
    row(note=codes.note("no_site_evaluable")),
    row(note=codes.note("aggregation_stratified", n_sites=20, n_pairs=900, n_sites_without_pair=5)),
    row(note=codes.note("aggregation_pooled", n_sites=20, n_pairs=9000, n_sites_without_pair=0)),
    row(metric="auc_difference", method=codes.method("influence_values")),
    row(metric="sensitivity_at_specificity", note=codes.note("one_threshold_for_sites", n=20)),
    row("readers", "sensitivity", note=codes.note("fitted_on_random_patients", n=60, reference="panel")),
    row(metric="sensitivity", method=codes.method("census")),
    row(metric="sensitivity", method=sampled("ratio_estimator", "linearised", "scale_wald")),
    row(
        metric="calibration_slope",
        method=codes.method("logistic_calibration"),
        note=codes.note("exact_probabilities", n=2, wrong=1),
    ),
    row(metric="ece", method=codes.method("bins_equal_width", n=10)),
    row("decision", "net_benefit", sampled("net_benefit", "linearised", "scale_wald")),
    row("drop", "auc_drop", note=codes.note("patients_in_both_populations", n=3), low=NAN, high=NAN),
    row("subgroups", "underdiagnosis", finding="no_finding"),
    row("agreement", "fleiss_kappa", codes.method("gwet")),
    row("agreement", "fleiss_kappa", codes.method("gwet"), codes.note("block_of_readers", readers=("r1", "r2"))),
    row("agreement", "light_kappa", codes.method("mean_of_kappas")),
    row(
        "readers",
        "readers_below_curve",
        codes.method("below_empirical_curve"),
        codes.note("readers_excluded", n=1, least=10),
    ),
    row("H1", "auc_difference", codes.method("influence_values"), codes.note("size_matched")),
    row("subgroups", "sensitivity", codes.method("influence_values"), finding="(mean)"),
    row(note=codes.note("undefined_samples", n=4, replicates=2000)),
    row("readers", "auc_difference", sampled("u_statistics_centred", "reads_pooled")),
    row(
        "readers",
        "sensitivity_difference",
        codes.methods(codes.method("u_statistics_centred"), codes.method("non_inferiority", margin=0.05)),
    ),
    row("readers", "reading_time_ratio", codes.method("mixed_model"), finding=""),
    row("readers", "trust_difference", codes.method("cases_in_both_arms"), finding=""),
    row(
        metric="threshold",
        method=codes.method("threshold_given"),
        note=codes.note("threshold_given", source="thresholds.csv"),
    ),
    row(metric="sensitivity", method=codes.method("wilson"), note=codes.note("decision_given")),
    row("comparison", "sensitivity_difference", codes.method("tango")),
    row("comparison", "specificity_difference", sampled("ratio_estimator", "clustered_by_patient", "scale_wald")),
    row("readers", "sensitivity_difference", sampled("single_reader", "scale_wald")),
]
ROWS = [*evaluated_rows(), *FURTHER]


def names_of(rows, facts=FACTS):
    return {p.name for p in printed(rows, facts)}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_is_printed_with_its_cause_and_not_without(name):
    sentence = SENTENCES[name]
    cause = [r for r in ROWS if any(c.matches(next(iter(kinds_of([r])))) for c in sentence.when)]
    assert cause or not sentence.when
    assert name in names_of(cause)
    for fact in sentence.facts:
        assert name not in names_of(cause, {n: p for n, p in FACTS.items() if n != fact})
    if sentence.when:
        absent = all(c.has == "missing" for c in sentence.when)
        removed = [row()] if absent else [missing(r) for r in cause]
        assert name not in names_of(removed)


@pytest.mark.parametrize("name", [s.name for s in all_sentences() if any(c.has != "estimate" for c in s.when)])
def test_a_sentence_on_intervals_or_tests_is_not_printed_for_a_bare_estimate(name):
    if all(c.has == "missing" for c in SENTENCES[name].when):
        bare = [row(low=NAN, high=NAN, p=NAN, p_adjusted=NAN)]
    else:
        bare = [{**r, "low": NAN, "high": NAN, "p": NAN, "p_adjusted": NAN} for r in ROWS]
    assert name not in names_of(bare)


def test_no_two_sentences_have_one_text():
    texts = [s.text for s in all_sentences()]
    assert len(set(texts)) == len(texts)
    assert all(s.text.endswith(".") for s in all_sentences())


def test_conditions_name_codes_that_exist():
    conditions = [c for s in all_sentences() for c in s.when]
    assert {n for c in conditions for n in (*c.method, *c.without)} <= set(codes.names("methods"))
    assert {n for c in conditions for n in (*c.note, *c.without_note)} <= set(codes.names("notes"))


def test_conditions_name_analyses_and_metrics_that_an_evaluation_writes():
    conditions = [c for s in all_sentences() for c in s.when]
    assert {n for c in conditions for n in (*c.analysis, *c.other_than)} <= {a.value for a in codes.Analysis}
    assert {n for c in conditions for n in c.metric} <= {m.value for m in codes.Metric}


def test_every_reference_of_a_sentence_is_in_the_bibliography():
    assert {r for s in all_sentences() for r in s.references} <= set(REFERENCES)


def test_every_fact_of_a_sentence_is_listed_here():
    assert {f for s in all_sentences() for f in s.facts} == set(FACTS)


def test_every_method_is_named_by_a_sentence_or_needs_none():
    named = {n for s in all_sentences() for c in s.when for n in c.method}
    untold = [n for group in UNTOLD.values() for n in group]
    assert set(codes.names("methods")) - named - set(untold) == set()
    assert set(untold) <= set(codes.names("methods"))


def test_parameters_are_those_of_the_codes_that_a_condition_names():
    few = codes.notes(codes.note("reads_pooled", n=2700), codes.note("few_readers", n=6))
    one = row("readers", "sensitivity", codes.method("reader_patient_bootstrap"), few)
    text = next(p.text for p in printed([one], {}) if p.name == "product_bootstrap_few")
    assert text == "With few readers (6) these CIs may be too narrow."


def test_a_condition_with_an_unknown_key_is_a_fault_of_the_program():
    with pytest.raises(TypeError):
        Condition(pattern="DeLong")


# Sentences that were once printed where they were false, each with the rows of that case.


@pytest.mark.parametrize(
    ("name", "where_false"),
    [
        ("strata", row(method=sampled("pairs_within_strata", "obuchowski", "scale_wald"))),
        ("auc_ci_delong", row(method=sampled("hajek", "linearised", "strata", "scale_wald"))),
        ("auc_ci_delong", row("H2", "auc", codes.method("reference_bootstrap"))),
        ("auc_ci_delong", row(method=codes.method("influence_values"))),
        (
            "drop",
            row(
                "drop",
                "auc_drop",
                codes.method("influence_values"),
                codes.note("patients_in_both_populations", n=3),
                low=NAN,
                high=NAN,
            ),
        ),
        ("u_statistics", missing(row("readers", "sensitivity_difference", codes.method("u_statistics_centred")))),
        ("u_statistics", missing(row("readers", "sensitivity_difference", note=codes.note("test_without_weights")))),
        ("obuchowski_rockette", missing(row("readers", "auc_difference", note=codes.note("not_fully_crossed")))),
        ("pooled_reader", row("readers", "sensitivity", codes.method("reader_patient_bootstrap"))),
        ("weights", row("readers", "auc", sampled("hajek", "linearised"), codes.note("weighted_by_reads"))),
        ("weights", row("agreement", "gwet_ac1", codes.method("gwet"), codes.note("weights_not_used"))),
        ("weights_variance", row(finding="(mean)", method=codes.method("bootstrap_percentile", replicates=2000))),
        ("finite_population", row(method=sampled("hajek", "linearised", "strata"))),
        ("threshold_stored", row(metric="threshold", method=codes.method("threshold_fitted_half"))),
        ("threshold_tuning", row(metric="threshold", method=codes.method("threshold_fitted_half"))),
        ("threshold_half", row(metric="threshold", method=codes.method("threshold_stored"))),
        (
            "auc_pairs_within",
            row(
                method=sampled("pairs_within_strata", "obuchowski", "scale_wald"),
                note=codes.note("aggregation_stratified", n_sites=20, n_pairs=900, n_sites_without_pair=5),
            ),
        ),
        ("auc_within_sites", row(method=codes.method("obuchowski"), note=codes.note("all_pairs_compared"))),
        ("bootstrap_sites", row("readers", "sensitivity", codes.method("reader_patient_bootstrap"))),
        ("bootstrap_sites", row("agreement", "gwet_ac1", codes.method("bootstrap_percentile", replicates=2000))),
        ("ece_width", row(metric="ece", method=codes.method("bins_equal_frequency", n=15))),
        ("net_benefit_ci", row("decision", "net_benefit", sampled("net_benefit", "scale_wald"))),
        ("net_benefit_ci_wald", row("decision", "net_benefit", sampled("net_benefit", "agresti_coull"))),
        ("h1_not_supported", row("H1", "auc_difference", codes.method("influence_values"))),
        ("site_alone", missing(row("site_alone", note=codes.note("site_unseen")))),
    ],
)
def test_a_sentence_is_not_printed_where_it_was_false(name, where_false):
    assert name not in names_of([where_false])


def test_the_rule_of_h1_states_evaluable_sites_and_seeds():
    rule = SENTENCES["h1_supported"].text
    assert "for every s and every evaluable e" in rule
    assert "at least two evaluable sites and three seeds per model" in rule


def test_weighted_readers_are_not_said_to_weigh_each_read_equally():
    one = row("readers", "sensitivity", codes.method("reader_patient_bootstrap"))
    assert "pooled_reader_weighted" in names_of([one])


def test_bootstrap_intervals_of_a_finite_population_are_said_to_be_conservative():
    one = row(finding="(mean)", method=codes.method("bootstrap_percentile", replicates=2000))
    assert "finite_population_bootstrap" in names_of([one])


def test_one_case_per_patient_is_not_said_to_be_several():
    one = row(method=sampled("obuchowski", "scale_wald"))
    assert names_of([one], {"one_case_per_patient": [{}]}) >= {"auc_ci_one_case"}
    assert not names_of([one], {"one_case_per_patient": [{}]}) & {"auc_ci_clustered", "clustered"}
    assert not names_of([one], {"several_cases": [{}]}) & {"auc_ci_one_case"}


def texts_of(rows, name):
    return [p.text for p in printed(rows, FACTS) if p.name == name]


def test_thresholds_fitted_in_half_of_the_patients_do_not_imply_recalibrations():
    [text] = texts_of([row(metric="threshold", method=codes.method("threshold_fitted_half"))], "threshold_half")
    assert "recalibration" not in text
    assert "thresholds were fitted on a random half" in text


def test_subgroups_by_default_are_not_said_to_be_prespecified():
    [text] = texts_of([row("subgroups", subgroup="sex")], "subgroups_protocol")
    assert text == (
        "Subgroup analyses were by sex and view: the columns that the protocol names or, if it names none, the default "
        "columns."
    )


def test_the_degrees_of_freedom_of_the_hosmer_lemeshow_test_are_given_with_their_reason():
    [text] = texts_of(
        [row(metric="hosmer_lemeshow", method=codes.method("hosmer_lemeshow", groups=10, df=10))], "hosmer_lemeshow"
    )
    assert text.endswith("10 groups and 10 degrees of freedom, because the model was not fitted on these data.")


def test_sentences_on_intervals_of_means_do_not_refer_to_others():
    one = row(method=codes.method("influence_values"))
    [text] = texts_of([one], "auc_linear_ci")
    assert "other" not in text.split()


def test_intervals_of_rates_do_not_cite_papers_on_aucs():
    rates = [row("subgroups", "sensitivity", codes.method("influence_values"), finding="(mean)")]
    cited = {r for p in printed(rates, FACTS) for r in p.references}
    assert "binder" in cited
    assert not cited & {"delong", "obuchowski"}
