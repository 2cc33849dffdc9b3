"""Sections on readers and reference standards."""
