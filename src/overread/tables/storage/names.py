"""Names of files and folders: every string of users or data that becomes part of a path passes through this module.

Names of folders chosen by the user are checked and refused (`check_names`); names in data are mapped to safe ones
(`file_names`). Outputs are written below the folder that the user gave, never through a link in it (`below`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from overread.errors import InputError

LONGEST = 64
RULE = "letters A to Z, digits, '.', '_' and '-', at most 64, beginning with a letter or digit, not ending in '.'"

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Windows opens a device for these names, with any extension.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE | re.DOTALL)
_HASH = 10  # hexadecimal digits


def fault(name: str, taken: Collection[str] = ()) -> str:
    """Return the reason why a name is not valid for files and folders on every system; "" if it is valid.

    Parameters
    ----------
    name : str
        The name as the user wrote it.
    taken : collection of str
        Names in use, compared without letter case.

    Returns
    -------
    str
        The reason.

    Examples
    --------
    >>> fault("north-2"), fault("../north"), fault("Aux.txt"), fault("Cohort", ["cohort"])
    ('', 'other characters', 'the name of a Windows device', 'a name that the study uses itself')
    """
    if not _SAFE.fullmatch(name):
        long = len(name) > LONGEST and _SAFE.fullmatch(name[:LONGEST])
        return f"{len(name)} characters" if long else "other characters" if name else "an empty name"
    if name.endswith("."):
        return "a dot at the end"
    if _DEVICES.fullmatch(name):
        return "the name of a Windows device"
    if name.casefold() in {t.casefold() for t in taken}:
        return "a name that the study uses itself"
    return ""


def check_names(names: Iterable[str], where: str, *, taken: Collection[str] = ()) -> list[InputError]:
    """Return an error for every invalid folder name, and for names that differ only in letter case.

    macOS and Windows use one folder for `North` and `north`.
    """
    all_names = list(names)
    problems = [
        InputError(
            where, f"a name of {RULE}", f"{name!r:.80} ({why})", do="It becomes the name of a folder: rename it."
        )
        for name in all_names
        if (why := fault(name, taken))
    ]
    counts = Counter(name.casefold() for name in all_names)
    alike = sorted(name for name in all_names if counts[name.casefold()] > 1)
    if alike:
        expected = "names that differ in more than letter case"
        problems.append(InputError(where, expected, "names that do not", examples=alike, do="Rename one of them."))
    return problems


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Map every name to a safe file name without extension; different names have different files on every system.

    A safe name is kept. In other names, accents are removed and other characters are replaced by hyphens. A hash of the
    name is added if nothing remains, the name has more than 64 characters or is that of a device, or another name has
    the same file. The result does not depend on the order.

    Parameters
    ----------
    names : iterable of str
        The names.

    Returns
    -------
    dict of str to str
        The file name of each name.

    Examples
    --------
    >>> file_names(["roc", "drop-a b", "Söuth", "../etc"])
    {'roc': 'roc', 'drop-a b': 'drop-a-b', 'Söuth': 'South', '../etc': 'etc'}
    >>> file_names(["a/b", "a b", "北"])
    {'a/b': 'a-b-c14cddc033', 'a b': 'a-b-c8687a08aa', '北': 'name-01bc01b329'}
    """
    distinct_names = list(dict.fromkeys(names))
    plain = {name: _plain(name) for name in distinct_names}
    counts = Counter(file.casefold() for file in plain.values())
    files = {
        name: file
        for name, file in plain.items()
        if not fault(file)
        and (name == file or counts[file.casefold()] == 1)
        and not (name == file and sum(other.casefold() == file.casefold() for other in distinct_names) > 1)
    }
    used_files = {file.casefold() for file in files.values()}
    for name in sorted(n for n in distinct_names if n not in files):
        digits, file = _HASH, ""
        while not file or file.casefold() in used_files:
            file, digits = _hashed(name, plain[name], digits), digits + 2
        files[name] = file
        used_files.add(file.casefold())
    return {name: files[name] for name in distinct_names}


def _plain(name: str) -> str:
    if not fault(name):
        return name
    bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", bare).strip("-._")


def _hashed(name: str, plain: str, digits: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    file = f"{plain[: LONGEST - digits - 1].strip('-._')}-{digest}"
    return f"name-{digest}" if fault(file) else file  # con.txt-0f3c is a device still


def below(folder: Path, *names: str) -> Path:
    """Return the path of an output below a folder; no part of it may be a link.

    Raises
    ------
    InputError
        A link is in the way; its target is neither written nor removed.
    """
    path = folder
    for name in names:
        path = path / name
        if path.is_symlink():
            do = "Remove the link, or choose another folder for the results."
            raise InputError(path, "a folder or file of its own", f"a link to {path.readlink()}", do=do)
    return path
