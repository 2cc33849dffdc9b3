"""Tables as text: encodings, delimiters, headers and spreadsheet formulas."""
