"""Multi-reader multi-case studies: Obuchowski-Rockette, U-statistics, product bootstrap, paired grades."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
