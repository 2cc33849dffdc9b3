"""Statistics: arrays in, small frozen results out. They know nothing of tables, radiographs or files."""
