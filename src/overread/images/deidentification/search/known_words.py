"""Non-identifying words: radiography terms kept in descriptors, and terms of DICOM code strings."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources

# Body, projection, posture, side, examination, device class, state of the picture.
_LIST = """
abdomen ac acromion ankle anterior anteroposterior ap apical arm axial bedside bone both breast bucky c cervical
cassette chest child clavicle contrast cr crosstable cta decubitus dental detector digital dr dx dorsal ea elbow erect
exam examination expiration extremity femur film finger foot forearm frontal grid hand head heel hip humerus icu image
inspiration joint kidney knee kub kv l lat lateral ld left leg ll lordotic lower lumbar lung lungs mammo mas mobile neck
normal nos oblique of olecranon original derived primary secondary or os pa pelvis plain port portable post posterior
posteroanterior pre preop postop projection prone quality r ra radiograph radiography raw rd recumbent repeat review rib
ribs right rl rt lt routine s sacrum scapula scout semi semierect shoulder sitting skull spine standing standard sternum
stitch supine study t table thoracic thorax thumb tibia to tomo torso trauma two upper upright view views wall
wrist x xr xray with without and the for in on mm cm kvp
agfa canon carestream fuji fujifilm ge konica minolta philips samsung siemens toshiba
corporation department electric general gmbh healthcare hospital inc ltd medical radiology system systems unknown none
anonymous removed yes no other adult
"""
KNOWN = frozenset(_LIST.split())
# Parts of code strings that are no words: sizes of cassettes and fields ("35CMX43CM"), numbers of up to three digits.
_SIZE = re.compile(r"\d{1,3}|(?:\d{1,2}(?:cm|in|mm)?x\d{1,2}(?:cm|in|mm)?)")


def words_of(text: str, *, fold: bool = True) -> list[str]:
    """The words and numbers of a text, normalised (NFKC) and case-folded, without invisible characters.

    Without `fold` the letters are only made small: "ß" stays, which case folding replaces by "ss".

    >>> words_of("DOE^Jane (12.03.1950)"), words_of("Groß"), words_of("Groß", fold=False)
    (['doe', 'jane', '12', '03', '1950'], ['gross'], ['groß'])
    """
    plain = unicodedata.normalize("NFKC", text)
    plain = plain.casefold() if fold else plain.lower()
    if plain.isascii():
        return re.findall(r"[^\W_]+", plain)
    kinds = ((c, unicodedata.category(c)) for c in unicodedata.normalize("NFKC", plain))
    return "".join(c if kind[0] in "LNM" else " " for c, kind in kinds if kind != "Cf").split()


def kept(text: str, taken: frozenset[str] = frozenset()) -> str:
    """Of a descriptor the known words only, in its order; `taken` are words of names, which are left out.

    >>> kept("Chest PA Dr. Smith 14:30"), kept("Hand, Mr Hand", frozenset({"hand"}))
    ('CHEST PA DR', '')
    """
    return " ".join(w for w in words_of(text) if w in KNOWN and w not in taken).upper()


@cache
def terms() -> frozenset[str]:
    """The words of defined terms (terms.txt) and of radiography."""
    lines = resources.files(__package__).joinpath("terms.txt").read_text("ascii").splitlines()
    return KNOWN | {w for line in lines if not line.startswith("#") for w in line.split()}


def is_term(text: str) -> bool:
    """Whether a code string consists of words of defined terms, sizes and small numbers.

    >>> is_term("FOR PRESENTATION"), is_term("35CMX43CM"), is_term("MEIERHOFER"), is_term("")
    (True, True, False, True)
    """
    return all(w in terms() or _SIZE.fullmatch(w) for w in words_of(text))
