"""What every analysis is given: score matrix, populations, thresholds, patient draws and AUC terms."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
