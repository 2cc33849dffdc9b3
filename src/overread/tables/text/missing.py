"""Words for missing values, in lower case.

All readers of tables use these lists, so that a word has the same meaning in every column. They differ by purpose: a
label "none" may mean absent, and "-" may be the opposite of "+", so labels are not read with `MARKS` or `PHRASES`.
"""

from __future__ import annotations

# Written by spreadsheets, R, pandas and databases.
PROGRAMS = ("na", "n/a", "#n/a", "<na>", "n.a.", "nan", "nat", "null", "#null!", "#value!", "#ref!", "#name?")
# Written by people: they state that nothing is known.
UNKNOWN = ("unknown", "unk", "not stated", "not available", "not applicable", "unspecified", "undefined", "missing")
PHRASES = ("none", "nil", *UNKNOWN)
MARKS = ("-", "--", "?", "??", "???", ".", "..", "...")
EVERY = ("", *PROGRAMS, *PHRASES, *MARKS)
