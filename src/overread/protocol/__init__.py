"""A protocol defines a whole study in one file; `run` conducts it. Stages on files alone are here too.

The names are loaded when they are first used, so that an evaluation does not load what only a whole study needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
