"""Words that radiography uses and that tell of nobody: kept in descriptors and beside the picture, never searched
for."""

from __future__ import annotations

import re

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


def words_of(text: str) -> list[str]:
    """The words and numbers of a text, in small letters.

    >>> words_of("DOE^Jane (12.03.1950)")
    ['doe', 'jane', '12', '03', '1950']
    """
    return re.findall(r"[^\W_]+", text.casefold())


def kept(text: str) -> str:
    """Of a descriptor the known words only, in its order.

    >>> kept("Chest PA Dr. Smith 14:30")
    'CHEST PA DR'
    """
    return " ".join(w for w in words_of(text) if w in KNOWN).upper()
