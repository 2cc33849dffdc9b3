"""Receiver operating characteristic curves and the area under them: intervals, comparisons, parts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
