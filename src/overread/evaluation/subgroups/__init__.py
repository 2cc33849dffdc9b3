"""Analyses of subgroups: AUCs and rates of each group, and the gaps between groups."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
