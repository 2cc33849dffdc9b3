"""Training and prediction: the only place that imports torch; its configuration (`config`) does not."""

from overread.threads import limit_spinning

limit_spinning()  # before any module of this package imports torch
