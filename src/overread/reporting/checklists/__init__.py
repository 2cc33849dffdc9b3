"""Reporting checklists (TRIPOD+AI, STARD-AI, CLAIM, DECIDE-AI), filled from what a study holds and states."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
