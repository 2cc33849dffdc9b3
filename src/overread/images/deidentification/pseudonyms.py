"""Secret key of a hospital, and the pseudonyms, UIDs and date shifts derived from it.

All are keyed hashes (HMAC-SHA256): a patient has the same pseudonym in every run with the key, and without the key
identities can be neither recovered nor guessed by trial.
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
    """A secret of at least 32 bytes; only its fingerprint is displayed."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < _LEAST:
            do = "Make one: overread deidentify … --key FILE --new-key."
            raise InputError("key", f"at least {_LEAST} bytes", f"{len(self.secret)}", do=do)

    def __repr__(self) -> str:
        return f"Key({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Short hash that distinguishes keys without revealing them."""
        return self._hash("fingerprint", "").hex()[:12]

    def _hash(self, purpose: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}\x1f{value}".encode(), hashlib.sha256).digest()

    def patient(self, identity: str) -> str:
        """Pseudonym of a patient: sixteen letters and digits.

        Examples
        --------
        >>> Key(bytes(32)).patient("17") == Key(bytes(32)).patient("17"), len(Key(bytes(32)).patient("17"))
        (True, 16)
        """
        return base64.b32encode(self._hash("patient", identity)[:10]).decode()

    def uid(self, uid: str) -> str:
        """New UID: 2.25. followed by a 128-bit number (PS3.5 annex B.2).

        Examples
        --------
        >>> Key(bytes(32)).uid("1.2.3").startswith("2.25."), len(Key(bytes(32)).uid("1.2.3")) <= 64
        (True, True)
        """
        return f"2.25.{int.from_bytes(self._hash('uid', uid)[:16], 'big')}"

    def word(self, value: str) -> str:
        """Pseudonym of any other identifier, such as an accession number: twelve letters and digits."""
        return base64.b32encode(self._hash("word", value)).decode()[:12]

    def days(self, identity: str) -> int:
        """Number of days by which the dates of a patient are shifted back."""
        low, high = _SHIFTS
        return low + int.from_bytes(self._hash("days", identity)[:8], "big") % (high - low + 1)

    def moved(self, day: date, identity: str) -> date:
        """A date of this patient, shifted."""
        return day - timedelta(days=self.days(identity))


def read_key(path: Path | str) -> Key:
    """Read a key from a file.

    Parameters
    ----------
    path : path
        File of the key.

    Returns
    -------
    Key
        The key.

    Raises
    ------
    InputError
        The file is missing, too short, or readable by other users than its owner.
    """
    path = Path(path)
    if not path.is_file():
        do = "Make one: overread deidentify … --key FILE --new-key."
        raise InputError(path, "a file that holds the key", "no file there", do=do)
    check_private(path, "a key")
    return Key(regular.content(path, most=limits.DOCUMENT_BYTES).strip())


def new_key(path: Path | str) -> Path:
    """Create a key file, readable by its owner only. It stays in the hospital; a lost key cannot be recovered.

    Parameters
    ----------
    path : path
        File to create.

    Returns
    -------
    Path
        The file.
    """
    path = Path(path)
    if path.exists():
        raise InputError(path, "a new file for the key", "one that is there", do="A key is never overwritten.")
    return tables.write_new(path, secrets.token_hex(_LEAST).encode())
