"""Training and prediction: the only place that imports torch; its configuration (`config`) does not."""
