"""The search for identifying text in cleaned files."""
