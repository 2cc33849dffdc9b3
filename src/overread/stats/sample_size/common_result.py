"""What functions that plan a study have in common: the result, its rounding, the search, the checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, isfinite

from overread import codes
from overread.errors import InputError

MOST = 10**9  # more cases than this is no plan


@dataclass(frozen=True, slots=True)
class Needed:
    """Cases with and without the finding; `exact` is the former before rounding and before the design effect."""

    present: int
    absent: int
    exact: float
    method: codes.Text

    @property
    def total(self) -> int:
        """All cases."""
        return self.present + self.absent


def needed(exact: float, ratio: float, effect: float, method: codes.Text) -> Needed:
    """So many present cases and `ratio` times as many absent ones, inflated and rounded up.

    >>> needed(70.2, 2.0, 1.0, codes.method("planned_power", power=0.8))
    Needed(present=71, absent=142, exact=70.2, method='power 0.8')
    """
    present = whole(effect * exact)
    return Needed(present, whole(ratio * present), exact, codes.methods(method, inflated(effect)))


def inflated(effect: float) -> codes.Text:
    """What a method says of its design effect, nothing where there is none."""
    return codes.method("design_effect", effect=effect) if effect != 1 else codes.NONE


def whole(number: float) -> int:
    """The next whole number; what is one but for rounding stays.

    >>> whole(71.00000000001), whole(71.2)
    (71, 72)
    """
    return ceil(number - 1e-9 * max(abs(number), 1.0))


def smallest(enough: Callable[[int], bool]) -> int:
    """The smallest whole number that is enough, for what is enough from there on.

    >>> smallest(lambda n: n * n >= 50)
    8
    """
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST:
            raise InputError("sample size", f"at most {MOST:,} cases", "more", do="Ask for less.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def check_share(value: float, *, where: str, name: str) -> None:
    """Refuse what is not between 0 and 1, such as 90 for 0.9."""
    if not 0 < value < 1:
        raise InputError(f"{where}: {name}", "a number between 0 and 1", f"{value}", do="Write 0.9 for 90 %.")


def check_design(power: float, ratio: float, effect: float, *, where: str) -> None:
    """Refuse a power outside (0, 1), a ratio that is not above 0 and a design effect below 1."""
    check_share(power, where=where, name="power")
    if not (ratio > 0 and isfinite(ratio)):
        raise InputError(f"{where}: ratio", "absent cases per present one, above 0", f"{ratio}")
    if not (effect >= 1 and isfinite(effect)):
        raise InputError(f"{where}: design_effect", "1 or more", f"{effect}", do="Take it from `design_effect`.")
