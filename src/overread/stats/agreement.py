"""Agreement of readers: raw, beyond chance, on measurements, and within limits."""

from overread.stats.chance_corrected import fleiss_kappa, gwet_ac, percent_agreement
from overread.stats.kappa import cohen_kappa
from overread.stats.krippendorff import krippendorff_alpha

__all__ = [
    "cohen_kappa",
    "fleiss_kappa",
    "gwet_ac",
    "krippendorff_alpha",
    "percent_agreement",
]
