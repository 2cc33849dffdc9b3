from . import exclusions as exclusions
from . import locations as locations
from . import source_tables as source_tables
