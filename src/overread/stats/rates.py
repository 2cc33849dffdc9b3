"""Rates of yes/no calls: single, at an operating point, at a fixed specificity, and paired between two raters."""

from overread.stats.fixed import (
    AttainedStep,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    threshold_at,
    unattained,
)
from overread.stats.operating import OperatingPoint, operating_point
from overread.stats.paired import (
    PairedPredictive,
    PairedRates,
    cochran_q,
    compare_predictive_values,
    mcnemar,
    mcnemar_p,
    paired_difference,
)
from overread.stats.proportions import clustered_proportion, independent_difference, proportion

__all__ = [
    "AttainedStep",
    "OperatingPoint",
    "PairedPredictive",
    "PairedRates",
    "clustered_proportion",
    "cochran_q",
    "compare_predictive_values",
    "independent_difference",
    "mcnemar",
    "mcnemar_p",
    "operating_point",
    "paired_difference",
    "proportion",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "threshold_at",
    "unattained",
]
