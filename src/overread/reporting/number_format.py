"""Numbers as they are printed: an estimate with its interval, a p value, a count; what is missing is an em dash."""

from __future__ import annotations

from math import isfinite, isnan
from typing import Any

MISSING = "—"
_MINUS = "\u2212"


def number(value: Any) -> float:
    """A value of a table as a float; null is NaN."""
    return float("nan") if value is None else float(value)


def exact(value: Any) -> str:
    """A threshold with the fewest digits that give the same number back, so that no call changes.

    >>> exact(0.1 + 0.2), exact(0.5), exact(None)
    ('0.30000000000000004', '0.5', '—')
    """
    x = number(value)
    return repr(x) if isfinite(x) else fixed(x)


def significant(value: Any, digits: int = 4) -> str:
    """A threshold as it is printed in a table: with four significant digits; files hold it in full.

    >>> significant(0.040444999999999995), significant(0.5), significant(None)
    ('0.04044', '0.5', '—')
    """
    x = number(value)
    return f"{x:.{digits}g}" if isfinite(x) else fixed(x)


def fixed(value: Any, digits: int = 3, *, signed: bool = False) -> str:
    """A number with that many decimals, a true minus sign, and an em dash for what could not be computed.

    >>> fixed(0.8424), fixed(-0.0312, signed=True), fixed(float("nan"))
    ('0.842', '−0.031', '—')
    """
    x = number(value)
    if isnan(x):
        return MISSING
    if not isfinite(x):
        return "∞" if x > 0 else f"{_MINUS}∞"
    text = f"{abs(x):.{digits}f}"
    zero = not float(text)
    return (_MINUS if x < 0 and not zero else "+" if signed and not zero else "") + text


def interval(value: Any, low: Any, high: Any, digits: int = 3, *, signed: bool = False) -> str:
    """An estimate with its interval; without one the estimate alone.

    >>> interval(0.8424, 0.8149, 0.8671)
    '0.842 (0.815–0.867)'
    >>> interval(0.03, -0.01, 0.07, signed=True)
    '+0.030 (−0.010 to +0.070)'
    >>> interval(0.044, -0.0004, 0.088, signed=True)
    '+0.044 (−0.0004 to +0.088)'
    """
    if isnan(number(value)):
        return MISSING
    middle = fixed(value, digits, signed=signed)
    if isnan(number(low)) or isnan(number(high)):
        return middle
    joint = " to " if signed or number(low) < 0 else "–"
    return f"{middle} ({limit(low, digits, signed=signed)}{joint}{limit(high, digits, signed=signed)})"


def limit(value: Any, digits: int = 3, *, signed: bool = False) -> str:
    """A limit of an interval: one that is not 0 but would be printed as 0 has a digit more, and so keeps its side.

    >>> limit(-0.0004, signed=True), limit(0.0, signed=True)
    ('−0.0004', '0.000')
    >>> limit(1e-6), limit(-1e-6), limit(1e-6, signed=True), limit(-1e-6, signed=True)
    ('<0.0001', '>−0.0001', '+0.0000', '−0.0000')
    """
    x = number(value)
    if isfinite(x) and abs(x) > _ROUNDING and not float(f"{abs(x):.{digits}f}"):
        if float(f"{abs(x):.{digits + 1}f}"):
            return fixed(x, digits + 1, signed=signed)
        if signed:
            return f"{'+' if x > 0 else _MINUS}{0:.{digits + 1}f}"
        least = f"{10 ** -(digits + 1):.{digits + 1}f}"
        return f"<{least}" if x > 0 else f">{_MINUS}{least}"
    return fixed(x, digits, signed=signed)


_ROUNDING = 1e-12  # a limit below it is 0 but for rounding error


def p_value(p: Any) -> str:
    """A p value with as many digits as it deserves.

    >>> p_value(0.2345), p_value(0.0321), p_value(0.00004), p_value(1.0)
    ('0.23', '0.032', '<0.001', '1.00')
    """
    x = number(p)
    if isnan(x):
        return MISSING
    if x < 0.001:
        return "<0.001"
    return f"{x:.3f}" if x < 0.0995 else f"{x:.2f}"


def p_phrase(p: Any) -> str:
    """A P value after the letter P: with its sign.

    >>> p_phrase(0.0321), p_phrase(0.00004)
    ('= 0.032', '< 0.001')
    """
    return "< 0.001" if number(p) < 0.001 else f"= {p_value(p)}"


def count(value: Any) -> str:
    """A count with thousands separated; the range of several, as the members of an ensemble may have.

    >>> count(22433), count(None), count([1400, 1380, 1391])
    ('22,433', '—', '1,380–1,400')
    """
    if isinstance(value, list | tuple):
        return f"{count(min(value))}–{count(max(value))}"
    return MISSING if value is None or isnan(number(value)) else f"{round(number(value)):,}"


def share(part: Any, whole: Any) -> str:
    """A part of a whole in per cent.

    >>> share(3, 40), share(1, 3000), share(0, 0)
    ('7.5%', '<0.1%', '—')
    """
    if not whole:
        return MISSING
    percent = 100 * number(part) / number(whole)
    return "<0.1%" if 0 < percent < 0.05 else f"{percent:.1f}%"


def seconds(value: Any) -> str:
    """A duration as a person says it.

    >>> seconds(3.21), seconds(754), seconds(7300)
    ('3.2 s', '12 min 34 s', '2 h 1 min')
    """
    s = number(value)
    if isnan(s):
        return MISSING
    if s < 60:
        return f"{s:.1f} s"
    minutes, rest = divmod(round(s), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def capital(text: str) -> str:
    """A text at the start of a sentence; the other letters stay as they are.

    >>> capital("mean AUC of acme"), capital("")
    ('Mean AUC of acme', '')
    """
    return text[:1].upper() + text[1:]


def plural(n: int, noun: str, nouns: str = "") -> str:
    """A count with its noun.

    >>> plural(1, "site"), plural(3, "site"), plural(0, "study", "studies")
    ('1 site', '3 sites', '0 studies')
    """
    return f"{count(n)} {noun if n == 1 else nouns or noun + 's'}"


def listed(words: list[str] | tuple[str, ...]) -> str:
    """Words as a list in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)
