"""Control characters and similar characters in text, made visible before the text is shown.

A name in a file can contain an escape sequence that moves the cursor, an override of the text direction, or half of a
surrogate pair that no encoding can write. Every text that is shown passes through `visible`.
"""

from __future__ import annotations

import re

# Controls (C0, DEL, C1), soft hyphen, the marks, overrides and isolates of direction, invisible operators, line and
# paragraph separators, byte order mark, interlinear marks, tags, halves of surrogate pairs, and noncharacters. The
# joiners U+200C and U+200D stay: Persian, Hindi and others need them.
_HIDDEN = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\\ud800-\\udfff"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)

# `//user@`, `//user:password@` and, as a path writes it, `/user:password@`; one letter alone is a drive, digits a port.
_USER = re.compile(
    r"([a-z][a-z0-9+.-]{1,20}:/+)(?:(?<=//)[^\s/?#]*|[^\s/?#:@]*:(?!\d*[/?#])\S{0,2000})@", re.IGNORECASE
)


def visible(text: str, *, keep: str = "") -> str:
    r"""Replace every character that is hidden or acts on a terminal by its escape, such as \\x1b.

    Parameters
    ----------
    text : str
        Any text.
    keep : str
        Characters that are not replaced, such as a line feed in a text of several lines.

    Returns
    -------
    str
        The text with escapes.

    Examples
    --------
    >>> print(visible("St. Mary\x1b[2J\u202e!"))
    St. Mary\x1b[2J\u202e!
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def masked(text: str) -> str:
    """Replace user and password of every address in a text by an ellipsis, also if a path lost a slash.

    >>> print(masked("https:/bob:S3CR3T@pacs/t.csv, tcp://bob@h:1, https://pacs/@home"))
    https:/…@pacs/t.csv, tcp://…@h:1, https://pacs/@home
    """
    return _USER.sub(r"\1…@", text)


def _escape(character: str) -> str:
    code = ord(character)
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    return short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
