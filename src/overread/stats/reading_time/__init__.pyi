from .crossed_effects import FixedEffect as FixedEffect
from .crossed_effects import MixedModel as MixedModel
from .crossed_effects import likelihood_ratio as likelihood_ratio
from .crossed_effects import mixed_model as mixed_model
from .time_ratio import ReadingTime as ReadingTime
from .time_ratio import reading_time_ratio as reading_time_ratio
