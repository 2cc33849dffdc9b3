from .cohort_scores import predict as predict
