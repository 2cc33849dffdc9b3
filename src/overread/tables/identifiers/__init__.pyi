from .identity import canonical as canonical
from .identity import is_missing as is_missing
from .identity import look_alikes as look_alikes
from .identity import patients as patients
from .key_columns import identified as identified
from .key_columns import look_alike_notes as look_alike_notes
from .key_columns import repeats_advice as repeats_advice
from .key_columns import spelling_hint as spelling_hint
