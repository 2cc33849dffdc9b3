"""Networks, their weights, and the folder that holds a model."""
