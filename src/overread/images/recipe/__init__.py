"""The pixel recipe: how a radiograph becomes `size` x `size` grey values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
