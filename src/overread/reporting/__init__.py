"""The report: estimates, curves and pictures as one self-contained HTML page.

`write` and what it draws with are loaded when they are first used: `drawing_pool` starts processes before that.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
