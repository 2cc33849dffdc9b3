"""Protocols that define a whole study in one file, and the stages of a study as functions of files.

Names are loaded when first used, so that an evaluation does not load what only a whole study needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
