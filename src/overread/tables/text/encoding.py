"""Detection of the encoding of a text file, and decoding to UTF-8."""

from __future__ import annotations

import re
from pathlib import Path

from overread.errors import InputError

# Byte order marks; UTF-32 before UTF-16, whose mark begins alike.
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_NAMES = {
    "utf-32": "UTF-32",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
}
_SAVE = "Save it as UTF-8."


def decoded(content: bytes, path: Path, encoding: str = "") -> tuple[bytes, list[str]]:
    """Return the text as UTF-8 without byte order mark, and a description of its encoding ([] for UTF-8).

    Windows-1252 includes Latin-1; an example of the decoded text is reported, because bytes alone cannot prove it.

    Raises
    ------
    InputError
        The bytes are not text, are of several encodings, or not of the given encoding.
    """
    name = encoding or _detected(content, path)
    if name == "utf-8":
        text = content
    else:
        try:
            text = content.decode(name).encode("utf-8")
        except LookupError as error:
            do = "Examples: utf-8, utf-16, cp1252, shift_jis, gb18030, cp1251."
            raise InputError(path, "an encoding that Python knows", f"'{encoding}'", do=do) from error
        except UnicodeError as error:
            raise InputError(path, f"text in {_NAMES.get(name, name)}", "bytes that are not", do=_SAVE) from error
    text = text.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in text:
        raise InputError(path, "text", "a binary file (it has NUL bytes)", do="Save the table as CSV (UTF-8).")
    if encoding or name in ("utf-8", "utf-8-sig"):
        return text, []
    return text, [f"encoding {_NAMES[name]}" + (_example(text) if name == "cp1252" else "")]


def _detected(content: bytes, path: Path) -> str:
    if content.isascii() and b"\x00" not in content[:4096]:
        return "utf-8"
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    even, odd = content[0:4096:2].count(0), content[1:4096:2].count(0)
    if max(even, odd) > 0.3 * min(len(content), 4096) / 2 and min(even, odd) <= max(even, odd) / 10:
        return "utf-16-le" if odd > even else "utf-16-be"
    if 0 in content[:4096]:
        return "utf-8"  # binary: refused by the caller
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        _refuse_mixture(content, error.start, path)
    return "cp1252"


def _refuse_mixture(content: bytes, first: int, path: Path) -> None:
    """Refuse damaged UTF-8 and mixtures of encodings, which would be garbled as Windows-1252."""
    valid_text = content.decode("utf-8", "ignore")
    valid = len(valid_text) - sum(1 for c in valid_text if c.isascii())
    invalid = sum(1 for b in content if b > 127) - len(valid_text.encode("utf-8")) + (len(valid_text) - valid)
    line = content.count(b"\n", 0, first) + 1
    if valid > invalid:
        found = f"UTF-8 with {invalid:,} bytes that are not, the first in line {line}"
        raise InputError(path, "text in one encoding", found, do=_SAVE)
    undefined = [b for b in (0x81, 0x8D, 0x8F, 0x90, 0x9D) if b in content]
    if undefined:
        found = f"bytes that are neither (line {line})"
        raise InputError(path, "text in UTF-8, UTF-16 or Windows-1252", found, do=_SAVE)


def _example(text: bytes) -> str:
    found = re.search(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*", text.decode("utf-8"))
    return f" (such as '{found[0]}')" if found else ""
