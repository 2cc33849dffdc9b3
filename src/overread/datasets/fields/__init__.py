"""Fields of sources mapped to the terms of the tables: views, ages, devices, labels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
