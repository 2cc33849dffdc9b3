"""Statistical methods for the evaluation of classifiers and readers; functions take arrays and return small results."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
