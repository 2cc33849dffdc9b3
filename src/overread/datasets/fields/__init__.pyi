from . import ages as ages
from . import devices as devices
from . import label_layouts as label_layouts
from . import normalise as normalise
from . import original_headers as original_headers
