from .model_training import train as train
from .networks.model_folder import Model as Model
from .networks.model_folder import open_model as open_model
from .scoring.cohort_scores import score_cohort as score_cohort
from .training_config import TrainingConfig as TrainingConfig
