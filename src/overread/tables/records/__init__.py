"""Typed readers of JSON, TOML and NumPy files, and the schemas of the JSON files of overread."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
