"""Rates of yes/no calls: single, at an operating point, at a fixed specificity, and paired between raters."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
