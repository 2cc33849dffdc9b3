"""De-identification of DICOM files by DICOM PS3.15 annex E."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
