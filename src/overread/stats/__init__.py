"""Statistics: arrays in, small frozen results out. They know nothing of tables, radiographs or files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
