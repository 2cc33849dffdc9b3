from . import alignment as alignment
from . import fingerprint as fingerprint
from . import near_duplicates as near_duplicates
from . import neighbours as neighbours
