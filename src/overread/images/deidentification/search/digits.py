"""Search for the patient's numbers by their digits, whatever separates them, in text and among measurements."""

from __future__ import annotations

import re
from collections.abc import Iterable

LEAST = 5  # digits, without leading zeros, of a number that is searched
_WITHIN = 8  # digits from which it also counts as part of a longer number: shorter ones occur there by chance
_PART = 6  # digits of the end of a telephone number, such as without the code of its country, that is searched alone
_MOST = 32  # values of a list that are searched; longer ones are look-up tables, which hold nearly every number


def groups(text: str) -> list[str]:
    """The groups of digits in a text, digits of any script.

    >>> groups("+49 (30) 123-45"), groups("١٢٣٤٥")
    (['49', '30', '123', '45'], ['12345'])
    """
    return ["".join(str(int(c)) for c in found) for found in re.findall(r"\d+", text)]


def numbers_of(text: str, *, telephone: bool = False) -> set[str]:
    """The digits by which an identifier is searched, without leading zeros; of a telephone number also its end.

    >>> sorted(numbers_of("MRN-00871/22")), sorted(numbers_of("+49 30 123456", telephone=True))
    (['87122'], ['123456', '30123456', '4930123456'])
    """
    digit_groups = groups(text)
    searched = {"".join(digit_groups).lstrip("0")}
    if telephone:
        searched |= {
            end for k in range(1, len(digit_groups)) if len(end := "".join(digit_groups[k:]).lstrip("0")) >= _PART
        }
    return {number for number in searched if len(number) >= LEAST}


def in_text(text: str, numbers: Iterable[str]) -> bool:
    """Whether groups of digits that follow each other in the text are one of the numbers, or hold a long one.

    >>> in_text("unit 871-22, B", {"87122"}), in_text("VF22A 4.1.5.17", {"22417"})
    (True, False)
    """
    digit_groups = groups(text)[: 2 * _MOST]
    joined = {
        "".join(digit_groups[a:b]).lstrip("0")
        for a in range(len(digit_groups))
        for b in range(a + 1, len(digit_groups) + 1)
    }
    return _found(joined, "".join(digit_groups), numbers)


def in_numbers(values: Iterable[str], numbers: Iterable[str]) -> bool:
    """Whether a number, as it is written, has these digits before its point, after it, or on both sides; or a list has.

    >>> in_numbers(["87122.0"], {"87122"}), in_numbers(["8.7122E4"], {"87122"}), in_numbers(["87", "122"], {"87122"})
    (True, True, True)
    >>> in_numbers(["0.287122"], {"87122"})
    False
    """
    texts = list(values)
    if len(texts) > _MOST:
        return False
    mantissas = [groups(re.split("[eE]", value)[0]) for value in texts]
    forms = {form.lstrip("0") for parts in mantissas for form in (*parts, "".join(parts))}
    whole = "".join(part for parts in mantissas for part in parts)
    return _found(forms | {whole.lstrip("0")}, whole, numbers)


def _found(forms: set[str], whole: str, numbers: Iterable[str]) -> bool:
    return any(n in forms or (len(n) >= _WITHIN and n in whole) for n in numbers)
