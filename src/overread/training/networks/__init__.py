"""Networks, their weights, and model folders."""
