from .pooled_training import h1 as h1
from .pooled_training import seeds_of as seeds_of
from .reference_effect import reference_rows as reference_rows
