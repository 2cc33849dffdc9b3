"""The vocabulary of findings as data: names, titles, codes, parents and synonyms, from the package or from a file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
