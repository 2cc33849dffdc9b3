"""Scores and heat maps of a model on a cohort."""
