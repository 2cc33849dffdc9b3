"""What is written beside the page: tables for Word, texts to paste, figures, model cards."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
