"""The one join of scores, reads and labels: matching, reference standards and the account of what was dropped."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
