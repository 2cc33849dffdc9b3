"""One answer from the votes of several readers: their majority, and truth with readers' errors by Dawid & Skene."""

from overread.stats.dawid_skene import DawidSkene, dawid_skene
from overread.stats.majority import Majority, majority

__all__ = ["DawidSkene", "Majority", "dawid_skene", "majority"]
