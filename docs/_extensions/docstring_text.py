"""Docstrings as reStructuredText.

The docstrings are numpydoc, and plain text otherwise: a vertical bar or a lone asterisk is itself and no markup, and a
list of names is written `name: description`.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

_NAME = re.compile(r"^(?P<names>\w+(?:, \w+)*): +(?P<text>\S.*)$")
_LITERAL = re.compile(r"(``.*?``|`.*?`)")
_LONE_ASTERISK = re.compile(r"(?<![\w*\\])(\*{1,2})(?=\w)(?![^*]*\*)")


def restructured(lines: Sequence[str]) -> list[str]:
    """The lines of a docstring with its lists of names as definition lists and its plain signs escaped.

    >>> restructured(["size: side in pixels", "    of the square", "", "the largest |t|, **options"])
    ['size', '    side in pixels', '    of the square', '', 'the largest \\\\|t\\\\|, \\\\*\\\\*options']
    """
    found: list[str] = []
    in_section = False
    for is_text, block in groupby(lines, key=lambda line: bool(line.strip())):
        own = list(block)
        if not is_text or own[0].lstrip().startswith(">>>"):
            found += own
            continue
        head = 2 if len(own) > 1 and re.fullmatch(r"-{3,}", own[1].strip()) else 0
        in_section = in_section or head > 0
        body = list(_definitions(own[head:]))
        found += own[:head] + [_escaped(line) for line in (body if in_section else _flowing(body))]
    return found


def _definitions(block: Sequence[str]) -> Iterator[str]:
    """A block of `name: description` entries as a definition list; any other block as it is."""
    entries = [_NAME.match(line) for line in block]
    if not all(entry or line.startswith("  ") for entry, line in zip(entries, block, strict=True)) or not any(entries):
        yield from block
        return
    for entry, line in zip(entries, block, strict=True):
        if entry:
            yield entry["names"]
            yield f"    {entry['text']}"
        else:
            yield f"    {line.strip()}"


def _flowing(block: Sequence[str]) -> list[str]:
    """A paragraph with hanging indents as one without; lists and definitions are left as they are."""
    is_list = re.match(r"[-*] |\d+\. ", block[0]) or (len(block) > 1 and re.fullmatch(r"\w+(, \w+)*", block[0]))
    return list(block) if is_list or block[0].endswith(":") else [line.strip() for line in block]


def _escaped(line: str) -> str:
    """The line with vertical bars and lone asterisks escaped outside of literals."""
    parts = _LITERAL.split(line)
    for place in range(0, len(parts), 2):
        text = parts[place].replace("|", r"\|")
        parts[place] = _LONE_ASTERISK.sub(lambda match: match[1].replace("*", r"\*"), text)
    return "".join(parts)
