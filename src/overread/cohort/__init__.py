"""The cohort: images, labels and pixels on disk, selected with an account of who was left out, split by patient."""

from overread.cohort.build import Cohort, build, open_cohort
from overread.cohort.config import CohortConfig
from overread.cohort.select import summary

__all__ = ["Cohort", "CohortConfig", "build", "open_cohort", "summary"]
