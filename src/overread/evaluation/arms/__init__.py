"""Comparison of arms that the same readers read: means, differences, variance components, curves and reading times."""
