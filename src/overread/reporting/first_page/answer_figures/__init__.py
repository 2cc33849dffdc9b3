"""The figures of the first page that show the answer of models and of arms."""
