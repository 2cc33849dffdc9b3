from .betting import ConfidenceSequence as ConfidenceSequence
from .betting import confidence_sequence as confidence_sequence
from .interim_estimates import Verification as Verification
from .interim_estimates import sequential_auc as sequential_auc
from .interim_estimates import sequential_calibration as sequential_calibration
from .interim_estimates import sequential_rate as sequential_rate
