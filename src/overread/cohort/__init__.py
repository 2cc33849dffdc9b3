"""The cohort: images, labels and pixels on disk, selected with an account of who was left out, split by patient."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
