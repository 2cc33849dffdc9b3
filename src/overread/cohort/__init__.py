"""Cohorts: images, labels and pixels on disk, selected with a flow of exclusions and split by patient."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
