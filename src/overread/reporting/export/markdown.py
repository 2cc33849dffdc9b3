"""Text of others in Markdown: shown as it is, never as a heading, table, link, formula or HTML."""

from __future__ import annotations

import re

from overread.characters import visible

# An underscore within a word and an ampersand that begins no entity do nothing: names stay readable.
_ACTIVE = re.compile(r"[\\`*~\[\]<>|$]|(?<![^\W_])_|_(?![^\W_])|&(?=[#\w])")
# A heading, a list, a quotation, a line under a heading; "-0.5" and "0.901" are none.
_LEADING = re.compile(r"^(?:#{1,6}(?=\s|$)|[+-](?=\s|$)|[=-]+\s*$|>|\d{1,9}(?=[.)](?:\s|$)))")
_CITATION = re.compile(r"\\\[(\d+(?:,\d+)*)\\\]")


def inline(text: str, *, cited: bool = False) -> str:
    r"""Escape a text for one line of Markdown (CommonMark and GitHub's tables and formulas).

    Parameters
    ----------
    text : str
        Text from anywhere; line ends become spaces, control characters visible escapes.
    cited : bool
        Whether numbers in brackets are citations, which stay as they are.

    Examples
    --------
    >>> print(inline("<b>[x](javascript:1)|\n# a_model *"))
    \<b\>\[x\](javascript:1)\| # a_model \*
    """
    line = visible(re.sub(r"[^\S\n]*[\r\n]+[^\S\n]*", " ", text.strip()))
    line = _ACTIVE.sub(lambda found: f"\\{found[0]}", line)
    if first := _LEADING.match(line):  # what would begin a heading, a list or a quotation
        line = f"{first[0]}\\{line[first.end() :]}" if first[0].isdigit() else f"\\{line}"
    return _CITATION.sub(r"[\1]", line) if cited else line
