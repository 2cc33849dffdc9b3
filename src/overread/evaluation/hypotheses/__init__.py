"""The hypotheses that are tested by name: pooled training (H1) and reference standards (H2)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
