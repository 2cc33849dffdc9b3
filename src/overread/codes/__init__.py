"""Codes of analyses, metrics, methods and notes, and their text.

Results travel as codes; their text is rendered here, from files that a biostatistician can edit (`text/*.toml`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
