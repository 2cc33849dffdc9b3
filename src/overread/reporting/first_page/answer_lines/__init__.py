"""The lines below the answer of models: how hospitals are put together, groups of cases, models without an AUC."""
