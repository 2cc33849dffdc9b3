"""Options of the simulated hospitals and their validation before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread import limits
from overread.errors import InputError, did_you_mean
from overread.simulation.disease_effects import FINDINGS
from overread.simulation.sites import SITES

IMAGES_PER_SITE = {"alder": 400, "birch": 400, "cedar": 400, "dogwood": 300, "elm": 300}
STATED = ("no_finding", *FINDINGS)

OPTIONS = ("images_per_site", "size", "findings", "site_differences", "label_noise")


def check(options: Mapping[str, Any], *, where: str) -> None:
    """Check the options of a simulated source in a protocol.

    Parameters
    ----------
    options : mapping
        Keyword arguments of `hospitals`.
    where : str
        Section that holds them, used in messages.

    Raises
    ------
    InputError
        An option is unknown (the nearest known one is suggested), or a value cannot be simulated.

    Examples
    --------
    >>> check({"size": 64, "images_per_site": {"alder": 40}}, where="[sources.s.options]")
    """
    expected = f"one of the options {', '.join(OPTIONS)}"
    found = [
        InputError(f"source simulate, {where}", expected, f"'{o}'", do=did_you_mean(o, OPTIONS))
        for o in options
        if o not in OPTIONS
    ]
    found += problems({o: value for o, value in options.items() if o in OPTIONS}, where=f"{where} ")
    if found:
        raise InputError.all(found)


def problems(options: Mapping[str, Any], *, where: str = "") -> list[InputError]:
    """Errors in the values of options, including the seed; `where` precedes the names of the options.

    Examples
    --------
    >>> print(*problems({"images_per_site": {"aldr": 40}}))
    images_per_site: expected sites among alder, birch, cedar, dogwood, elm; found aldr. Did you mean 'alder'?
    """
    found: list[InputError] = []
    for name, value in options.items():
        place = where + name
        if name == "images_per_site":
            found += _count_problems(value, place)
        elif name == "findings":
            found += _finding_problems(value, place)
        elif name == "size":
            found += _whole(place, value, 32, 4096)
        elif name == "seed":
            found += _whole(place, value, 0, limits.SEED)
        else:
            found += limits.outside(place, value, 0, 10)
    return found


def _count_problems(value: Any, place: str) -> list[InputError]:
    if not isinstance(value, Mapping):
        do = "Write it as { alder = 40, elm = 30 }."
        return [InputError(place, "a number of images for each site", limits.shown(value), do=do)]
    names = [site.name for site in SITES]
    if not value:
        return [InputError(place, f"at least one site among {', '.join(names)}", "none")]
    found: list[InputError] = []
    for name, count in value.items():
        if name not in names:
            hint = did_you_mean(str(name), names)
            found.append(InputError(place, f"sites among {', '.join(names)}", str(name), do=hint))
        found += _whole(f"{place} of {name}", count, 1, 1_000_000)
    return found


def _finding_problems(value: Any, place: str) -> list[InputError]:
    if not isinstance(value, list | tuple):
        return [InputError(place, "a list of findings", limits.shown(value), do='Write it as ["edema"].')]
    known = ", ".join(STATED)
    if not value:
        return [InputError(place, f"at least one finding of those that are simulated ({known})", "none")]
    return [
        InputError(
            place,
            f"findings that are simulated ({known})",
            name if isinstance(name, str) else limits.shown(name),
            do=did_you_mean(str(name), STATED),
        )
        for name in value
        if name not in STATED
    ]


def _whole(place: str, value: Any, low: int, high: int) -> list[InputError]:
    """As `limits.outside`, but 64.0 is refused too: image sizes and counts are integers."""
    if isinstance(value, float):
        return [InputError(place, f"a whole number from {low:,} to {high:,}", limits.shown(value))]
    return limits.outside(place, value, low, high, whole=True)
