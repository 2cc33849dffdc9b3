"""Check whether free text may contain personal data: an address, number, date, title, or a name of the file."""

from __future__ import annotations

import re
import unicodedata

from overread.images.deidentification.search.known_words import KNOWN, words_of
from overread.images.deidentification.search.person_names import Names, forms

_MONTH = r"(?:jan|feb|m[aä]r|mae|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[^\W\d_]*"
_SPACE = r"[\s.,/_-]*"
_PERSONAL = re.compile(
    rf"""
    @ | ://                                                    # addresses
    | \+\s*\d | \d{{6}}                                        # telephone and other numbers
    | (?<!\d)\d{{1,2}}[\s./_-]+\d{{1,2}}[\s./_-]+(?:19|20)\d\d(?!\d)    # 31.1.1950
    | (?<!\d)(?<!\d\.)\d{{1,2}}([./-])\d{{1,2}}\1\d\d(?![\d])(?!\.\d)   # 31.1.50, no part of 1.31.1.50
    | (?<!\d)(?:19|20)\d\d[\s./_-]+\d{{1,2}}[\s./_-]+\d{{1,2}}(?!\d)    # 1950-01-31
    | (?<!\d)\d{{1,2}}{_SPACE}{_MONTH}{_SPACE}\d{{2,4}}(?!\d)     # 31 Jan 1950
    | (?<![^\W\d_]){_MONTH}{_SPACE}\d{{1,2}}{_SPACE}(?:19|20)\d\d(?!\d)  # January 31, 1950
    | (?<![^\W_])(?:dr|mr|ms)[\W_]*\s[\W_]*[^\W\d_] | (?<![^\W_])(?:dr|mr|ms)\.  # a title; "DR 600" is a model
    | (?<![^\W_])(?:prof|professor|doctor|doktor|mrs|miss|herrn?|frau|fr[.]|hr[.]|geb|geboren|born|dob|patient|name|
      n[eé]e|phd)(?![^\W\d_])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PREFIX = 4  # letters from which the beginning of a name counts


def may_name(text: str, names: Names) -> bool:
    """Whether a text may hold what is a person's; `names` are those of its file.

    >>> may_name("Ysio Max, born 1950", Names()), may_name("syngo FLC VF22A 4.1.5.17", Names())
    (True, False)
    """
    plain = unicodedata.normalize("NFKC", text)
    return bool(_PERSONAL.search(plain)) or bool(names.find(text, KNOWN)) or _begins(text, names)


def _begins(text: str, names: Names) -> bool:
    """Whether a word of the text begins with a name, or a name with it."""
    word_forms = {f for w in words_of(text) if w not in KNOWN for f in forms(w) if len(f) >= _PREFIX}
    wanted = {n for n in names.whole if len(n) >= _PREFIX and not n.isdigit()}
    return any(h.startswith(n) or n.startswith(h) for h in word_forms for n in wanted)
