"""Search for person names by normalised forms of words in any script, as single components and joined.

A name is compared in several forms: without diacritics ("muller"), with the letters that replace them ("mueller"), and
with those letters collapsed, so that "Müller", "MUELLER" and "Muller" are equal. Scripts without word boundaries
(Chinese, Japanese, Korean, Thai) are compared as substrings, all others as words.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from itertools import permutations

from overread.images.deidentification.search.known_words import words_of

_PLAIN = str.maketrans({"ø": "o", "æ": "a", "œ": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"})
_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe", "đ": "dj"})
_COLLAPSED = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"), ("dj", "d"))
# Titles and particles: too common to be searched alone; they count where they are joined to a name.
_TITLES = """
al bin ibn da de del den der di do dos du el la las le los van von vom zu zur ten ter y e
dr prof med mr mrs ms miss jr sr ii iii iv md phd msc bsc herr frau hr fr
"""
_PARTICLES = frozenset(_TITLES.split())
# Scripts without spaces between words: Thai to Khmer, Hangul Jamo, ideographs, kana, Hangul.
_UNSPACED = (
    (0x0E00, 0x10A0),
    (0x1100, 0x1200),
    (0x1780, 0x1800),
    (0x2E80, 0xA000),
    (0xAC00, 0xD7B0),
    (0xF900, 0xFB00),
    (0x20000, 0x323B0),
)
_PART = 5  # letters from which a word is also searched within longer words
_JOINED = 6  # letters from which joined words are searched across word boundaries
_COMPONENTS = 8  # words of a name whose pairs are joined


def forms(word: str) -> set[str]:
    """The forms in which a word is compared.

    >>> sorted(forms("müller")), sorted(forms("nuñez")), sorted(forms("ng"))
    (['mueller', 'muller'], ['nunez'], ['ng'])
    """
    if word.isascii():
        word_forms = {word}
    else:
        word_forms = {_bare(word.translate(_PLAIN)), _bare(word.translate(_LETTERS).translate(_PLAIN))}
    if len(word) >= _PART:
        word_forms |= {_collapsed(f) for f in word_forms}
    return word_forms - {""}


def _bare(word: str) -> str:
    """Without diacritics; katakana as hiragana."""
    letters = (c for c in unicodedata.normalize("NFKD", word) if unicodedata.category(c) not in ("Mn", "Cf"))
    joined = unicodedata.normalize("NFKC", "".join(letters)).casefold()
    return "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in joined)


def _collapsed(word: str) -> str:
    for long, short in _COLLAPSED:
        word = word.replace(long, short)
    return word


def unspaced(word: str) -> bool:
    """Whether a word is written in a script without spaces between words.

    >>> unspaced("王伟"), unspaced("홍길동"), unspaced("Иванов"), unspaced("")
    (True, True, False, False)
    """
    return any(low <= ord(c) < high for c in word for low, high in _UNSPACED)


@dataclass(slots=True)
class Names:
    """What is searched: `whole` words, `parts` of words, and `joined` words that are found across word boundaries.

    `written` are words and joined words with their diacritics, which are searched among bytes.
    """

    whole: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)

    def add_person(self, text: str) -> None:
        """Add a person name (PS3.5 6.2.1): its components alone, and joined in either order, in each of its groups."""
        for group in text.split("="):
            components = [w for w in words_of(group) if not w.isdigit()][:_COMPONENTS]
            for word in components:
                self._add_word(word)
            for pair in permutations(components, 2):
                self._add_joined("".join(pair))
            self._add_joined("".join(components))
            small = [w for w in words_of(group, fold=False) if not w.isdigit()][:_COMPONENTS]
            self.written |= {w for w in small if w not in _PARTICLES}
            self.written |= {"".join(pair) for pair in permutations(small, 2)} | {"".join(small)}

    def add_words(self, text: str, known: frozenset[str] = frozenset()) -> None:
        """Add the words of an identifying text, such as an address, of three letters and more."""
        for word in words_of(text):
            if word not in known and (len(word) >= 3 or unspaced(word)):
                self._add_word(word)
        self.written |= {w for w in words_of(text, fold=False) if len(w) >= 3 and w not in known and not w.isascii()}

    def _add_word(self, word: str) -> None:
        if word in _PARTICLES or (len(word) < 2 and not unspaced(word)) or set(word) == {"x"}:  # XX: a placeholder
            return
        held = forms(word)
        self.whole |= held
        self.written.add(word)
        if unspaced(word):
            self.joined |= {f for f in held if len(f) >= 2}
        elif not word.isdigit():
            self.parts |= {f for f in held if len(f) >= _PART}

    def _add_joined(self, word: str) -> None:
        held = forms(word)
        self.written.add(word)
        self.joined |= {f for f in held if len(f) >= (2 if unspaced(f) else _JOINED)}
        self.whole |= {f for f in held if len(f) >= 4}

    def discard(self, taken: set[str]) -> None:
        """Leave out words that tell of nobody, such as the manufacturer's name in the name of a hospital."""
        self.whole -= taken
        self.parts -= taken
        self.joined -= taken
        self.written -= taken

    def merge(self, other: Names) -> None:
        """Add what another has."""
        self.whole |= other.whole
        self.parts |= other.parts
        self.joined |= other.joined
        self.written |= other.written

    def find(self, text: str, known: frozenset[str] = frozenset()) -> set[str]:
        """What of the names the text holds; `known` words of the text do not count.

        >>> names = Names(); names.add_person("Zumbach^Ottilie=山田^太郎")
        >>> sorted(names.find("seen ZUMBACHOTTILIE")), names.find("撮影山田太郎様") != set(), names.find("zum Bach")
        (['ottilie', 'zumbach', 'zumbachottilie'], True, set())
        """
        words = [w for w in words_of(text) if w not in known]
        word_forms = {f for w in words for f in forms(w)}
        matches = self.whole & word_forms
        matches |= {p for p in self.parts if any(p in w for w in word_forms)}
        squeezed = forms("".join(words)) if words else set()
        return matches | {j for j in self.joined if any(j in s for s in squeezed)}
