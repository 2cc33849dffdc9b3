"""Training of classifiers and prediction with them: the only package that imports torch (`training_config` does
not).
"""

import lazy_loader

from overread.threads import limit_spinning

limit_spinning()  # before any module of this package imports torch

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
