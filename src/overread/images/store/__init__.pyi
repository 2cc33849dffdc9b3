from .pixel_store import Store as Store
from .pixel_store import open_store as open_store
