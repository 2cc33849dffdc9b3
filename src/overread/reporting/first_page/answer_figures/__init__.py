"""The figures and tables of the first page that show the answer of models and of arms."""
