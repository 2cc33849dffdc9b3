"""Multireader multicase studies: comparison of arms, of a model with readers, and of graded answers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
