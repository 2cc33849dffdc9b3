from .building import Cohort as Cohort
from .building import build as build
from .building import open_cohort as open_cohort
from .cohort_config import CohortConfig as CohortConfig
from .selection import summary as summary
