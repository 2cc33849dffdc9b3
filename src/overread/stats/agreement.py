"""Agreement of readers: raw, beyond chance, on measurements, and within limits."""

from overread.stats.bland_altman import BlandAltman, bland_altman
from overread.stats.chance_corrected import fleiss_kappa, gwet_ac, percent_agreement
from overread.stats.icc import icc
from overread.stats.kappa import cohen_kappa
from overread.stats.krippendorff import krippendorff_alpha

__all__ = [
    "BlandAltman",
    "bland_altman",
    "cohen_kappa",
    "fleiss_kappa",
    "gwet_ac",
    "icc",
    "krippendorff_alpha",
    "percent_agreement",
]
