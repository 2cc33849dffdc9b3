"""The first page: the question, its answer, the figure and the table that carry it, and what limits it."""
