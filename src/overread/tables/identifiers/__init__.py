"""Identifiers: one canonical form, key columns and look-alike names."""
