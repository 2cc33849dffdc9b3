"""Result, rounding, search and validation shared by the sample size functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, isfinite

from overread import codes
from overread.errors import InputError
from overread.stats.result_text import described

MOST = 10**9  # largest number of cases


@dataclass(frozen=True, slots=True)
class Needed:
    """Numbers of present and absent cases; `exact` is the number of present cases before rounding and design effect."""

    __repr__ = described

    present: int
    absent: int
    exact: float
    method: codes.Text

    @property
    def total(self) -> int:
        """Number of all cases."""
        return self.present + self.absent


def needed(exact: float, ratio: float, effect: float, method: codes.Text) -> Needed:
    """Numbers of present cases and of `ratio` times as many absent cases, inflated and rounded up.

    Examples
    --------
    >>> result = needed(70.2, 2.0, 1.0, codes.method("planned_power", power=0.8))
    >>> result.present, result.absent, result.exact
    (71, 142, 70.2)
    """
    present = whole(effect * exact)
    return Needed(present, whole(ratio * present), exact, codes.methods(method, inflated(effect)))


def inflated(effect: float) -> codes.Text:
    """Design effect as a part of a method, nothing if it is 1."""
    return codes.method("design_effect", effect=effect) if effect != 1 else codes.NONE


def whole(number: float) -> int:
    """Next integer; rounding error above an integer is ignored.

    Examples
    --------
    >>> whole(71.00000000001), whole(71.2)
    (71, 72)
    """
    return ceil(number - 1e-9 * max(abs(number), 1.0))


def smallest(enough: Callable[[int], bool]) -> int:
    """Smallest integer for which a monotone condition holds.

    Examples
    --------
    >>> smallest(lambda n: n * n >= 50)
    8
    """
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST:
            raise InputError(
                "sample size",
                f"at most {MOST:,} cases",
                "more",
                do="Choose a larger width or difference.",
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def check_share(value: float, *, where: str, name: str) -> None:
    """Raise if a value is not between 0 and 1, such as 90 for 0.9."""
    if not 0 < value < 1:
        raise InputError(f"{where}: {name}", "a number between 0 and 1", f"{value}", do="Write 0.9 for 90 %.")


def check_design(power: float, ratio: float, effect: float, *, where: str) -> None:
    """Raise if power is not in (0, 1), ratio is not above 0, or the design effect is below 1."""
    check_share(power, where=where, name="power")
    if not (ratio > 0 and isfinite(ratio)):
        raise InputError(f"{where}: ratio", "absent cases per present one, above 0", f"{ratio}")
    if not (effect >= 1 and isfinite(effect)):
        raise InputError(f"{where}: design_effect", "1 or more", f"{effect}", do="Compute it with `design_effect`.")
