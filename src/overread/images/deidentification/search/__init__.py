"""Search for identifying text in cleaned files."""
