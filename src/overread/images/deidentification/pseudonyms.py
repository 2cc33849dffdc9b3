"""The key that stays at the hospital, and what is derived from it: pseudonyms, new identifiers, shifts of dates.

Everything is a keyed hash (HMAC-SHA256): the same patient is the same pseudonym in every run with the key, and without
the key nobody can go back, nor try out names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from overread import limits, regular, tables
from overread.credentials import check_private
from overread.errors import InputError

_LEAST = 32  # bytes
# Dates move back by at least a month and at most ten years.
_SHIFTS = (30, 3650)


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of at least 32 bytes; it is shown by its fingerprint only."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < _LEAST:
            do = "Make one: overread deidentify … --key FILE --new-key."
            raise InputError("key", f"at least {_LEAST} bytes", f"{len(self.secret)}", do=do)

    def __repr__(self) -> str:
        return f"Key({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """What tells two keys apart and tells nothing else of them."""
        return self._hash("fingerprint", "").hex()[:12]

    def _hash(self, purpose: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}\x1f{value}".encode(), hashlib.sha256).digest()

    def patient(self, identity: str) -> str:
        """The pseudonym of a patient: sixteen letters and digits.

        >>> Key(bytes(32)).patient("17") == Key(bytes(32)).patient("17"), len(Key(bytes(32)).patient("17"))
        (True, 16)
        """
        return base64.b32encode(self._hash("patient", identity)[:10]).decode()

    def uid(self, uid: str) -> str:
        """A new unique identifier: 2.25. and a number of 128 bits (PS3.5 B.2).

        >>> Key(bytes(32)).uid("1.2.3").startswith("2.25."), len(Key(bytes(32)).uid("1.2.3")) <= 64
        (True, True)
        """
        return f"2.25.{int.from_bytes(self._hash('uid', uid)[:16], 'big')}"

    def word(self, value: str) -> str:
        """A pseudonym for any other identifier, such as an accession number: twelve letters and digits."""
        return base64.b32encode(self._hash("word", value)).decode()[:12]

    def days(self, identity: str) -> int:
        """By how many days the dates of a patient are moved back."""
        low, high = _SHIFTS
        return low + int.from_bytes(self._hash("days", identity)[:8], "big") % (high - low + 1)

    def moved(self, day: date, identity: str) -> date:
        """A date of that patient, moved."""
        return day - timedelta(days=self.days(identity))


def read_key(path: Path | str) -> Key:
    """The key in a file; InputError where it is missing or too short, or where others than its owner may read it."""
    path = Path(path)
    if not path.is_file():
        do = "Make one: overread deidentify … --key FILE --new-key."
        raise InputError(path, "a file that holds the key", "no file there", do=do)
    check_private(path, "a key")
    return Key(regular.content(path, most=limits.DOCUMENT_BYTES).strip())


def new_key(path: Path | str) -> Path:
    """Make a new key, readable by its owner alone. It stays where the patients are known; a lost key stays lost."""
    path = Path(path)
    if path.exists():
        raise InputError(path, "a new file for the key", "one that is there", do="A key is never overwritten.")
    return tables.write_new(path, secrets.token_hex(_LEAST).encode())
