"""The metrics of the estimates table."""

from __future__ import annotations

from enum import StrEnum


class Metric(StrEnum):
    """What an estimate measures: the column `metric` of the estimates table."""

    AUC = "auc"  # area under the ROC curve
    AUC_DIFFERENCE = "auc_difference"  # of two raters, arms, reference standards or label policies
    AUC_DROP = "auc_drop"  # internal minus external AUC
    AUC_DROP_DIFFERENCE = "auc_drop_difference"  # of two reference standards
    AUC_RATIO = "auc_ratio"  # of two groups
    AUC_DIFFERENCE_CONTRAST = "auc_difference_contrast"  # difference of two groups, of one model minus another
    AUC_SD = "auc_sd"  # standard deviation over training seeds
    AUC_DIFFERENCE_SD = "auc_difference_sd"
    PREVALENCE = "prevalence"  # share of cases with the finding
    THRESHOLD = "threshold"  # score from which a case is called present
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"
    SENSITIVITY_DIFFERENCE = "sensitivity_difference"
    SPECIFICITY_DIFFERENCE = "specificity_difference"
    SENSITIVITY_RATIO = "sensitivity_ratio"  # of two groups
    SPECIFICITY_RATIO = "specificity_ratio"
    SENSITIVITY_DIFFERENCE_CONTRAST = "sensitivity_difference_contrast"
    SPECIFICITY_DIFFERENCE_CONTRAST = "specificity_difference_contrast"
    SENSITIVITY_SD = "sensitivity_sd"  # standard deviation over training seeds
    SPECIFICITY_SD = "specificity_sd"
    SENSITIVITY_DIFFERENCE_SD = "sensitivity_difference_sd"
    SPECIFICITY_DIFFERENCE_SD = "specificity_difference_sd"
    SENSITIVITY_AT_SPECIFICITY = "sensitivity_at_specificity"  # highest sensitivity at a fixed specificity
    SPECIFICITY_AT_SENSITIVITY = "specificity_at_sensitivity"  # highest specificity at a fixed sensitivity
    ESTIMATED_SENSITIVITY = "estimated_sensitivity"  # of a reader, by the Dawid-Skene model
    ESTIMATED_SPECIFICITY = "estimated_specificity"  # of a reader, by the Dawid-Skene model
    PPV = "ppv"  # positive predictive value
    NPV = "npv"  # negative predictive value
    F1 = "f1"  # harmonic mean of sensitivity and positive predictive value
    ACCURACY = "accuracy"  # share of correct calls
    LR_POSITIVE = "lr_positive"  # likelihood ratio of a positive call
    LR_NEGATIVE = "lr_negative"  # likelihood ratio of a negative call
    CALIBRATION_INTERCEPT = "calibration_intercept"  # ideal 0
    CALIBRATION_SLOPE = "calibration_slope"  # ideal 1
    CALIBRATION_IN_THE_LARGE = "calibration_in_the_large"  # intercept with the slope fixed at 1
    BRIER = "brier"  # mean squared difference of probability and outcome
    ECE = "ece"  # expected calibration error in bins
    ECE_DEBIASED = "ece_debiased"  # minus the part expected from sampling noise
    ICI = "ici"  # integrated calibration index: mean absolute difference to the smooth curve
    E50 = "e50"  # median absolute difference to the smooth curve
    E90 = "e90"  # 90th percentile of the absolute difference
    EMAX = "emax"  # largest absolute difference
    SPIEGELHALTER = "spiegelhalter"  # z of Spiegelhalter's test
    HOSMER_LEMESHOW = "hosmer_lemeshow"  # chi-square of the Hosmer-Lemeshow test
    NET_BENEFIT = "net_benefit"  # at a threshold probability
    NET_BENEFIT_DIFFERENCE = "net_benefit_difference"  # to treating all, or to another rater
    UNDERDIAGNOSIS = "underdiagnosis"  # share of cases with a finding that are called normal
    UNDERDIAGNOSIS_DIFFERENCE = "underdiagnosis_difference"  # of two groups
    UNDERDIAGNOSIS_RATIO = "underdiagnosis_ratio"
    UNDERDIAGNOSIS_DIFFERENCE_CONTRAST = "underdiagnosis_difference_contrast"
    UNDERDIAGNOSIS_SD = "underdiagnosis_sd"
    UNDERDIAGNOSIS_DIFFERENCE_SD = "underdiagnosis_difference_sd"
    GAP_AUC = "gap_auc"  # largest minus smallest of the groups
    GAP_SENSITIVITY = "gap_sensitivity"
    GAP_SPECIFICITY = "gap_specificity"
    GAP_UNDERDIAGNOSIS = "gap_underdiagnosis"
    MS_ARM = "ms_arm"  # mean square of the arms
    MS_READER = "ms_reader"  # mean square of the readers
    MS_ARM_READER = "ms_arm_reader"  # mean square of the interaction of arm and reader
    VAR_READER = "var_reader"  # variance between readers
    VAR_ARM_READER = "var_arm_reader"  # variance of the interaction of arm and reader
    VAR_ERROR = "var_error"  # error variance of one reader in one arm
    COV1 = "cov1"  # covariance of errors: same reader, different arms
    COV2 = "cov2"  # covariance of errors: different readers, same arm
    COV3 = "cov3"  # covariance of errors: different readers, different arms
    F_STATISTIC = "f_statistic"  # test of equal arms
    DF_NUMERATOR = "df_numerator"  # degrees of freedom of the F statistic
    DF_DENOMINATOR = "df_denominator"
    MEDIAN_SECONDS = "median_seconds"  # reading time of a case
    READING_TIME_RATIO = "reading_time_ratio"  # of the geometric means of two arms
    MEAN_TRUST = "mean_trust"  # mean over readers
    TRUST_DIFFERENCE = "trust_difference"  # of two arms
    READERS_BELOW_CURVE = "readers_below_curve"  # number of readers below the ROC curve
    PAIRWISE_F1 = "pairwise_f1"  # mean F1 against each other rater
    PAIRWISE_F1_DIFFERENCE = "pairwise_f1_difference"  # model minus mean of readers
    PERCENT_AGREEMENT = "percent_agreement"
    COHEN_KAPPA = "cohen_kappa"
    FLEISS_KAPPA = "fleiss_kappa"
    LIGHT_KAPPA = "light_kappa"  # mean of Cohen's kappa over pairs of readers
    GWET_AC1 = "gwet_ac1"
    KRIPPENDORFF_ALPHA = "krippendorff_alpha"
