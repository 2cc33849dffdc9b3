"""Typed readers of JSON, TOML and NumPy files, and what the JSON files of overread hold."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
