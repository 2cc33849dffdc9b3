from .loading import check as check
from .loading import load as load
from .loading import names as names
from .loading import prefixed as prefixed
