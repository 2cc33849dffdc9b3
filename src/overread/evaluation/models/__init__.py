"""Analyses of models: standalone, comparison, calibration, decision curves and external validation."""
