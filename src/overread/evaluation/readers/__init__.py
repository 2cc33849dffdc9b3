"""Analyses of readers: their performance, their agreement, and the model beside them."""
