"""overread: from radiographs of several hospitals to the evidence about a classifier of their findings."""
