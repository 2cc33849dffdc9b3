"""Reading time: linear mixed models with crossed random effects and the ratio of reading times of two arms."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
