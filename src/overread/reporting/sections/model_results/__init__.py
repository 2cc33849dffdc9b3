"""Sections on models: discrimination, thresholds, calibration, decisions, comparisons, subgroups, hypotheses."""
