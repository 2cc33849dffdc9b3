"""Names of two groups whose difference is estimated, written as "sex: F - M": column, level and reference level."""

from __future__ import annotations

from collections.abc import Sequence

from overread.errors import InputError

_WHERE = "evaluation.group_differences"
_FORM = 'texts of the form "sex: F - M" (column, level, reference level)'
_MINUS = " - "


def columns_and_levels(texts: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return column, level and reference level of every text; the minus sign of the report is read as a hyphen.

    Raises
    ------
    InputError
        All texts of another form. A level that contains " - " cannot be named, as it could be split in two ways.

    Examples
    --------
    >>> columns_and_levels(["age_band: 60-79 − 18-39"])
    [('age_band', '60-79', '18-39')]
    """
    names, wrong = [], []
    for text in texts:
        column, colon, groups = str(text).partition(":")
        levels = [level.strip() for level in groups.replace(" − ", _MINUS).split(_MINUS)]
        if isinstance(text, str) and colon and column.strip() and len(levels) == 2 and all(levels):
            names.append((column.strip(), levels[0], levels[1]))
        else:
            wrong.append(f"{text!r:.80}")
    if wrong:
        do = "Give a space on both sides of the hyphen. evaluation.spellings can rename a level that holds ' - '."
        raise InputError(_WHERE, _FORM, f"{len(wrong)} of another form", examples=wrong, do=do)
    return names
