"""Pixels: radiographs read from PNG, JPEG and DICOM, the recipe that makes them one size, the store that keeps them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
