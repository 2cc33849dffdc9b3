"""The training loop and all that it needs: examples, augmentation, loss, checkpoints, tuning."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
