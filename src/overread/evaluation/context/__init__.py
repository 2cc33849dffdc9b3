"""Shared inputs of the analyses: score matrix, populations, thresholds, resamples of patients and AUC terms."""
