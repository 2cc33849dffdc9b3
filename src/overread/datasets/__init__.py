"""Readers of public data sets and file formats; each module has a function `read(root, **options) -> Source`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
