"""Evaluation of scores and reads: the join with the reference standard, then estimates, curves and verdicts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
