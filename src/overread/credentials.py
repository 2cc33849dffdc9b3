"""Passwords and tokens, which are read from a place that the user names and never from protocols, options or addresses.

An option `credentials` names the place: `env:NAME` an environment variable, `netrc` or `netrc:FILE` the entry of the
host, `file:PATH` a file that only its owner may read. Messages never show the value of an option that may be a secret.
"""

from __future__ import annotations

import netrc
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from overread.characters import masked
from overread.errors import InputError

OPTION = "credentials"
PLACES = "env:NAME, netrc, netrc:FILE or file:PATH"

_DO = f'Name the place of it: {OPTION} = "env:NAME" (an environment variable), "netrc" or "file:PATH".'
# Words that, within a key, say that its value is a secret: api_key, accessToken, x-auth-token, client.secret, ...
_SECRET = re.compile(
    r"passw(or)?d|passphrase|passcode|secret|token|bearer|authori[sz]ation|credential|cookie|signature"
    r"|(api|access|private|account|shared|subscription|ssh|encryption|signing|client|storage)keys?$"
)
# Words that say so as the whole key, and as the last word of one.
_WHOLE = re.compile(r"(.*[^a-z0-9])?(auth|pass|pwd|pw|pin|login|user|username|userid|apikey|jwt|sas|sig|otp|creds?)")
_PARAMETER = re.compile(r"[?&;#]([^=&;#\s]*)=?")
_IS_ADDRESS = re.compile(r"(url|uri|address|endpoint|host|server|scheduler)$", re.IGNORECASE)
# Options whose keys are words of the data and not names of options.
_OF_DATA = ("columns", "findings", "spellings", "vocabulary", "where")
_PLACE = re.compile(r"env:[A-Z_][A-Z0-9_]*|netrc(:.+)?|file:.+", re.DOTALL)


def is_secret(key: str) -> bool:
    """Return whether the name of an option indicates a password, a token or a user.

    >>> [is_secret(k) for k in ("api_key", "accessToken", "X-Auth-Token", "db.password", "user", "key", "author")]
    [True, True, True, True, True, False, False]
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).casefold()
    return bool(_SECRET.search(re.sub(r"[^a-z0-9]", "", words)) or _WHOLE.fullmatch(words))


def problems(stated: Any, where: str) -> list[InputError]:
    """Return an error for every password, token or user among nested options; their values are not shown.

    `credentials` may name the place of a secret (`env:NAME`, `netrc`, `netrc:FILE`, `file:PATH`). Addresses must
    contain neither a user nor a token.
    """
    return list(_problems(stated, where))


def _problems(stated: Any, where: str, key: str = "") -> Iterator[InputError]:
    if isinstance(stated, Mapping):
        for inner, value in stated.items():
            name, place = str(inner), f"{where}, {inner}"
            secret = is_secret(name) and key not in _OF_DATA and not isinstance(value, Mapping | list | tuple | bool)
            if name == OPTION and isinstance(value, str):
                if value and not _PLACE.fullmatch(value):
                    yield InputError(place, PLACES, "another text, which is not shown", do=_DO)
            elif secret:
                yield InputError(place, "no password, token or user", "one, which is not shown", do=_DO)
            else:
                yield from _problems(value, place, key if key in _OF_DATA else name)
    elif isinstance(stated, list | tuple):
        for value in stated:
            yield from _problems(value, where, key)
    elif isinstance(stated, str) and (fault := address_fault(stated, strict=_IS_ADDRESS.search(key) is not None)):
        yield InputError(where, "an address without a password, token or user", f"one with {fault}", do=_DO)


def address_fault(text: str, *, strict: bool = True) -> str:
    """Return the part of an address that is or may be secret; "" if there is none or the text contains no address.

    With `strict` any parameter counts; otherwise, as in a text with links, only those with the name of a secret.

    >>> address_fault("https://pacs/dicom-web"), address_fault("https://a:b@pacs"), address_fault("tcp://h?x=1")
    ('', 'a user or password', 'parameters')
    >>> address_fault("https://a.org?id=3", strict=False), address_fault("https://a.org?api_key=x", strict=False)
    ('', 'parameters')
    """
    if strict and "@" in text:
        return "a user or password"
    if masked(text) != text:
        return "a user or password"
    if "://" not in text:
        return ""
    names = _PARAMETER.findall(text[text.index("://") :])
    return (
        "parameters" if any(strict or is_secret(name) or name.casefold() in ("key", "code") for name in names) else ""
    )


def check_address(text: str, where: str) -> None:
    """Refuse an address with a user, a password or parameters such as a token; the message does not show it."""
    if fault := address_fault(text):
        raise InputError(where, "an address without a password, token or user", f"one with {fault}", do=_DO)


def read(place: str, *, host: str, where: str) -> tuple[str, str]:
    """Read user and password from a place; the user is "" for a token.

    Parameters
    ----------
    place : str
        `env:NAME` or `file:PATH`, which hold user:password or a token, or `netrc`, `netrc:FILE`.
    host : str
        The host whose entry in the netrc file is used.
    where : str
        The option, for messages.

    Returns
    -------
    tuple of (str, str)
        User and password.

    Raises
    ------
    InputError
        The place is empty, or others than the owner of the file may read it.
    """
    kind, _, name = place.partition(":")
    if not _PLACE.fullmatch(place):
        raise InputError(where, PLACES, "another text, which is not shown", do=_DO)
    if kind == "netrc":
        return _from_netrc(Path(name or "~/.netrc").expanduser(), host)
    if kind == "env":
        text = os.environ.get(name, "").strip()
        if not text:
            raise InputError(where, f"user:password or a token in the environment variable {name}", "nothing in it")
    else:
        text = _private_text(Path(name).expanduser()).strip()
        if not text:
            raise InputError(name, "user:password or a token", "an empty file")
    user, colon, password = text.partition(":")
    return (user, password) if colon else ("", text)


def _from_netrc(path: Path, host: str) -> tuple[str, str]:
    _private_text(path)
    try:
        entry = netrc.netrc(str(path)).authenticators(host)
    except (netrc.NetrcParseError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        raise InputError(path, "a netrc file", f"an error in line {line}" if line else "another text") from error
    if entry is None:
        raise InputError(path, f"an entry for the host {host}", "none", do=f"Add: machine {host} login … password …")
    return str(entry[0]), str(entry[2])


def _private_text(path: Path) -> str:
    check_private(path, "a file with user:password or a token")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(path, "text in UTF-8", "other bytes") from error


def check_private(path: Path, what: str) -> None:
    """Refuse a file with a secret that is missing, or that others than its owner may read or write.

    On Windows, which has other permissions, only its existence is checked.
    """
    if not path.is_file():
        raise InputError(path, what, "no file there", do="Check the path.")
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name != "nt" and mode & 0o077:
        found = f"permissions {mode:04o}, with which others may read or change it"
        raise InputError(path, f"{what} that its owner alone may read", found, do=f"Run: chmod 600 '{path}'")
