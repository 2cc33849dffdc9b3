"""Sequential estimation: confidence sequences for rates, AUC and calibration, valid at every interim analysis."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
