"""The sentences on statistics, in the order of the page. In braces: values of the configuration; @: a reference."""

from __future__ import annotations

from overread.reporting.methods.sentences import Sentence

ALONE = (
    Sentence(
        "AUC",
        "The AUC is the share of pairs of a present and an absent case that the score orders rightly, ties "
        "counting half.",
        metric="auc",
    ),
    Sentence(
        "AUC",
        "Its variance is DeLong's [@delong].",
        metric="auc|auc_difference|auc_drop",
        method=r"^(?!.*(not apply|influence values)).*DeLong",
    ),
    Sentence(
        "AUC",
        "Of weighted or stratified samples the variance of the AUC is linearised (Hájek) [@binder].",
        metric="auc|auc_difference|auc_drop",
        method="^(Hajek|unweighted), linearised variance",
    ),
    Sentence(
        "AUC",
        "For images clustered in patients it is Obuchowski's [@obuchowski].",
        method="Obuchowski(?!.{0,5}Rockette)",
    ),
    Sentence(
        "AUC",
        "With fewer than 50 patients of a class the interval is computed on the logit scale with Satterthwaite's "
        "degrees of freedom [@satterthwaite]; with fewer than 10 none is given.",
        method="logit, t",
    ),
    Sentence(
        "AUC",
        "Where several AUCs meet in one number (a mean, a contrast, a gap) its error comes from influence values "
        "summed per patient [@delong,obuchowski].",
        method="influence values",
    ),
    Sentence(
        "AUC",
        "The AUC within strata counts pairs of the same stratum only.",
        metric="auc.*",
        method="pairs within strata",
    ),
    Sentence(
        "Means over findings",
        "Means over findings are of {findings}, as far as evaluable there; every mean names its findings and those "
        "left "
        "out.",
        finding=r"^\(mean\)$",
    ),
    Sentence(
        "Resampling",
        "Bootstrap intervals are percentiles of resamples of patients{replicates}, drawn within sites or sampling "
        "strata where these are given [@efron].",
        method="bootstrap, percentile|percentile interval of|patient bootstrap|patients resampled",
    ),
    Sentence(
        "Operating points",
        "Thresholds were frozen with the model on the tuning split of its training sites; call = score ≥ threshold.",
        metric="threshold",
        method="frozen with the model",
    ),
    Sentence(
        "Operating points",
        "Thresholds were fitted on tuning cases, which are not test cases; call = score ≥ threshold.",
        metric="threshold",
        method="fitted on tuning cases",
    ),
    Sentence(
        "Operating points",
        "Thresholds were fitted on a random half of the test patients with their labels, and the rates at them were "
        "computed on the other patients only; call = score ≥ threshold.",
        metric="threshold",
        method="fitted on half of the test patients",
    ),
    Sentence(
        "Operating points",
        "Sensitivity and specificity were computed from the calls at these thresholds.",
        metric="sensitivity|specificity",
        at="operating_point=",
    ),
    Sentence(
        "Operating points",
        "Predictive values and accuracy hold at the prevalence of the population tested.",
        metric="ppv|npv|accuracy|prevalence",
    ),
    Sentence("Operating points", "Rates have Wilson intervals [@wilson].", method="Wilson"),
    Sentence(
        "Operating points",
        "Of clustered cases they are made at the effective sample size [@rao].",
        method="Wilson at the effective",
    ),
    Sentence("Operating points", "F1 has a delta-method interval [@f1].", metric="f1", method="delta"),
    Sentence("Operating points", "Likelihood ratios have log intervals [@simel].", metric="lr_.*", method="Simel"),
    Sentence(
        "Operating points",
        "Sensitivity at a fixed specificity (and the reverse) takes the attainable step of the test ROC; its "
        "threshold is "
        "chosen again in every resample of patients{replicates} [@rutter]. Resamples in which tied scores leave no "
        "threshold that attains the fixed rate have no value; above 1% of them there is no interval.",
        metric="sensitivity_at_specificity|specificity_at_sensitivity",
        method="attainable step",
    ),
    Sentence(
        "Calibration",
        "Calibration intercept and slope are of the logistic line of truth on logit [@cox,calibration]; “in the "
        "large” is "
        "the intercept with the slope held at 1.",
        metric="calibration_.*",
        method="logistic",
    ),
    Sentence(
        "Calibration",
        "Their errors are sandwich errors, by patient [@binder].",
        metric="calibration_.*",
        method="sandwich",
    ),
    Sentence("Calibration", "Brier score [@brier].", metric="brier"),
    Sentence(
        "Calibration", "Its error is linearised [@binder].", metric="brier", method="linearised|Wald|mean squared|mean"
    ),
    Sentence(
        "Calibration", "Expected calibration error over {bins} bins of equal size [@ece].", metric="ece", method="bins"
    ),
    Sentence(
        "Calibration",
        "It has no interval where it is not clear of what perfect probabilities would show by chance.",
        metric="ece",
    ),
    Sentence(
        "Calibration",
        "Debiased, it is what is left once the noise of the bins is taken out [@kumar].",
        metric="ece_debiased",
        method="Kumar",
    ),
    Sentence(
        "Calibration",
        "ICI, E50, E90 and Emax are the mean, median, 90th percentile and maximum of the distance between the "
        "probability and a loess curve (degree 2, span 0.75) of the truth [@ici,loess].",
        metric="ici|e50|e90|emax",
    ),
    Sentence("Calibration", "The curve is a loess fit.", metric="ici|e50|e90|emax|calibration_.*", method="loess"),
    Sentence(
        "Calibration",
        "Spiegelhalter's test of calibration [@spiegelhalter].",
        metric="spiegelhalter.*",
        method="Spiegelhalter",
    ),
    Sentence(
        "Calibration",
        "Hosmer and Lemeshow's test, external degrees of freedom [@hosmer].",
        metric="hosmer.*",
        method="Hosmer",
    ),
    Sentence(
        "Decision curves",
        "Net benefit at a threshold probability weighs false positives by the odds of the threshold, against calling "
        "all and calling nobody [@vickers].",
        metric="net_benefit.*|.*net_benefit",
    ),
    Sentence(
        "Decision curves",
        "Its interval is Wald's, linearised [@pfeiffer].",
        metric="net_benefit.*|.*net_benefit",
        method="Wald",
    ),
    Sentence(
        "Decision curves",
        "Its interval is linearised, by patient [@pfeiffer], with four imaginary patients added so that it holds where "
        "hardly anybody is called [@coull].",
        metric="net_benefit.*|.*net_benefit",
        method="four imaginary",
    ),
)

COMPARED = (
    Sentence(
        "Comparison of models", "Models were compared on the same cases, paired [@delong].", analysis="comparison"
    ),
    Sentence(
        "Comparison of models",
        "p values are adjusted by Holm's method [@holm] within the family that the table names.",
        analysis="comparison",
    ),
    Sentence(
        "Comparison of models",
        "The interval of a mean difference over several findings is a bootstrap interval; its p value is that of a "
        "Wald test with a standard error from influence values.",
        analysis="comparison",
        finding=r"^\(mean\)$",
        method="bootstrap",
    ),
    Sentence(
        "H1",
        "A finding is evaluable at an external site when at least {least_present} patients have it present and "
        "{least_absent} absent there and every compared model scores it. D(e, s) is the mean over the evaluable "
        "findings "
        "of AUC(pooled) − AUC(s) on the same cases; its standard error comes from influence values summed per "
        "patient. H1 "
        "is supported when the lower limit of D(e, s) is above 0 for every evaluable external site e and "
        "single-institution model s, with two or more such sites and three or more training seeds (an "
        "intersection-union test, which needs no adjustment [@berger]); not supported "
        "when an "
        "upper limit, Holm over all (e, s), is below the smallest worthwhile gain of {gain}; otherwise it cannot be "
        "told. Contrasts per finding are adjusted by Holm [@holm] over all sites, models and findings and decide "
        "nothing.",
        analysis="H1",
    ),
    Sentence(
        "H1", "The spread over training seeds is a standard deviation.", analysis="seeds", method="standard deviation"
    ),
    Sentence("H1", "The AUC of every seed stands beside that of its ensemble.", analysis="seeds"),
    Sentence(
        "Drop",
        "Drop = internal − external AUC. It is a difference between two groups of patients, not an effect: case mix "
        "and label source may differ too [@zech].",
        analysis="drop",
    ),
    Sentence(
        "Drop",
        "Where no patient is in both populations (checked), the variances are added.",
        analysis="drop",
        note="^(?!.*cannot be summed)",
        method=".",
    ),
    Sentence(
        "Site alone",
        "The site alone was scored by the finding's prevalence at the case's site in the training split, on the "
        "internal "
        "test of all training sites together [@zech].",
        analysis="site_alone",
    ),
    Sentence("Site by site", "Every model was tested at every site, within the site.", analysis="matrix"),
    Sentence("Subgroups", "Subgroups{columns} were {set}{least}.", analysis="subgroups"),
    Sentence(
        "Subgroups",
        "A gap is the largest minus the smallest value, of groups chosen because they are; p tests that all groups are "
        "equal and is adjusted by Holm [@holm] in the family that the table names.",
        analysis="subgroups",
        metric="gap_.*",
    ),
    Sentence(
        "Subgroups",
        "Its interval holds for all pairs of groups at once, from the largest |t| over all pairs and the joint "
        "covariance [@hothorn]: a bootstrap of best minus worst cannot cover where groups are equal.",
        method="best minus worst|largest .t.",
    ),
    Sentence(
        "Subgroups",
        "Under-diagnosis is the share of cases with a finding that are called free of any: by the model's own score of "
        "no finding, or without one because none of its findings is called [@underdiagnosis].",
        metric=".*under_?diagnosis.*",
    ),
    Sentence(
        "Labels",
        "The same numbers were computed under the other label policies and label sources, with the change.",
        analysis="policies",
    ),
)

SAMPLED = (
    Sentence(
        "Weights",
        "Cases were sampled: estimates whose method is “weighted” or “Hájek” weigh each case by the inverse of its "
        "chance of being drawn, with a linearised variance [@binder].",
        analysis="(?!readers|agreement|H2).*",
        method="weighted|Hajek|Hájek",
    ),
    Sentence(
        "Weights",
        "Patients were drawn within strata, and variances are within strata.",
        method="patients within strata",
    ),
    Sentence(
        "Weights",
        "The estimates are about the finite population that the cases were drawn from: variances are multiplied by the "
        "share of each stratum that was not drawn.",
        method="finite population",
    ),
)

# Told in whole paragraphs by reader_methods: here only which analyses and methods those are.
READ = (
    Sentence("", "", analysis="readers|agreement|H2"),
    Sentence("", "", analysis="readers|agreement|H2", method="product bootstrap|bootstrap|resampled"),
    Sentence("", "", analysis="readers", method="[Uu]-(statistic|centred)|Obuchowski.*Rockette|DeLong|Hajek|Wilson"),
    Sentence("", "", analysis="readers", method="Dawid|under the empirical curve"),
    Sentence("", "", analysis="agreement", method="Gwet's error|Fleiss, Cohen & Everitt"),
)

SENTENCES = (*ALONE, *COMPARED, *SAMPLED)
