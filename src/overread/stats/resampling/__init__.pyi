from .patient_bootstrap import auc_replicates as auc_replicates
from .patient_bootstrap import bootstrap as bootstrap
from .patient_bootstrap import bootstrap_auc as bootstrap_auc
from .patient_bootstrap import draw_counts as draw_counts
from .patient_bootstrap import percentile_interval as percentile_interval
from .patient_bootstrap import rate_replicates as rate_replicates
