"""Pixel store of a cohort and the worker processes that fill it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
