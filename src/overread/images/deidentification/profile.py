"""Action per attribute: the table of the standard (profile.csv) and the options of its profile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import polars as pl

from overread.errors import InputError, did_you_mean

REMOVE, EMPTY, REPLACE, NEW_UID, KEEP, CLEAN = "X", "Z", "D", "U", "K", "C"
# Where the standard lets the object decide (X/Z/D by whether it needs the attribute), what keeps any object valid.
_CHOICE = {"X/Z": EMPTY, "X/D": REPLACE, "X/Z/D": REPLACE, "Z/D": REPLACE, "X/Z/U*": NEW_UID}
# Free text that the table does not name, and that the option `device` keeps: manufacturer, model, software.
_DEVICE_TEXT = ("0008,0070", "0008,1090", "0018,1020")
_DATES, _PIXELS = ("shift", "remove"), ("blacken", "quarantine")


@dataclass(frozen=True, slots=True)
class Deidentification:
    """Options beyond the Basic Application Level Confidentiality Profile (DICOM PS3.15 annex E).

    Parameters
    ----------
    device : bool
        Retain Device Identity Option: manufacturer, model and software are kept if they cannot name a person; all
        other text (station, serial numbers, detector, ...) becomes keyed pseudonyms.
    patient : bool
        Retain Patient Characteristics Option: sex, age, size, weight and further attributes; an age above 89 becomes
        90. An age given only by birth date and study date is computed before these are removed.
    institution : bool
        Retain Institution Identity Option: name and address of the institution.
    dates : {"shift", "remove"}
        "shift": Retain Longitudinal Temporal Information with Modified Dates Option; the dates of each patient are
        shifted by one keyed number of days and times are kept.
    descriptors : bool
        Clean Descriptors Option: of free text, words in a list of radiography terms are kept; without it free text is
        removed.
    pixels : {"blacken", "quarantine"}
        Burned-in text is blackened, or its file is quarantined.
    issuer : str
        Issuer of Patient ID of files that state none. The pseudonym depends on the issuer, so that this value keeps
        pseudonyms the same across runs whose files do and do not state it.
    """

    device: bool = True
    patient: bool = True
    institution: bool = False
    dates: str = "shift"
    descriptors: bool = True
    pixels: str = "blacken"
    issuer: str = ""

    def __post_init__(self) -> None:
        problems = [
            InputError(f"deidentification.{name}", " or ".join(known), repr(value), do=did_you_mean(str(value), known))
            for name, value, known in (("dates", self.dates, _DATES), ("pixels", self.pixels, _PIXELS))
            if value not in known
        ]
        if problems:
            raise InputError.all(problems)

    def options(self) -> tuple[str, ...]:
        """Columns of the table whose actions replace the basic action, in this order."""
        taken = [
            ("device", self.device),
            ("patient", self.patient),
            ("institution", self.institution),
            ("modified_dates", self.dates == "shift"),
            ("descriptors", self.descriptors),
        ]
        return tuple(name for name, wanted in taken if wanted)


@cache
def table() -> dict[str, dict[str, str]]:
    """Rows of PS3.15 table E.1-1 by tag ("0010,0010"): basic action and action of every option ("" = none).

    Examples
    --------
    >>> table()["0010,0010"]["basic"], table()["0010,0040"]["patient"]
    ('Z', 'K')
    """
    text = resources.files(__package__).joinpath("profile.csv").read_bytes()
    frame = pl.read_csv(text, infer_schema=False, comment_prefix="#").fill_null("")
    return {row["tag"]: row for row in frame.iter_rows(named=True)}


def action(group: int, element: int, options: Deidentification) -> str:
    """Action for an attribute; private attributes are removed.

    Attributes that the table does not list are kept as far as their value representation permits (see `keeps_text`).

    Examples
    --------
    >>> action(0x0010, 0x0010, Deidentification()), action(0x0009, 0x1001, Deidentification())
    ('Z', 'X')
    """
    if group % 2:
        return REMOVE
    if group & 0xFF00 in (0x5000, 0x6000):  # curves and overlays as a whole
        return REMOVE
    row = table().get(f"{group:04x},{element:04x}")
    if row is None:
        return KEEP
    code = next((row[o] for o in options.options() if row[o]), row["basic"])
    return _CHOICE.get(code, code)


def keeps_text(group: int, element: int, options: Deidentification) -> bool:
    """Whether free text of an attribute may be kept: only by the table or the option `device`.

    Examples
    --------
    >>> keeps_text(0x0008, 0x0070, Deidentification()), keeps_text(0x0008, 0x0104, Deidentification())
    (True, False)
    """
    tag = f"{group:04x},{element:04x}"
    return tag in table() or (options.device and tag in _DEVICE_TEXT)


def is_device(group: int, element: int, options: Deidentification) -> bool:
    """Whether the option `device` determines the action for an attribute.

    Examples
    --------
    >>> is_device(0x0008, 0x1010, Deidentification()), is_device(0x0008, 0x0080, Deidentification())
    (True, False)
    """
    tag = f"{group:04x},{element:04x}"
    return options.device and (tag in _DEVICE_TEXT or bool(table().get(tag, {}).get("device")))


def is_product(group: int, element: int) -> bool:
    """Whether an attribute names a product (manufacturer, model, software), which is the same in many hospitals."""
    return f"{group:04x},{element:04x}" in _DEVICE_TEXT


@cache
def image_classes() -> frozenset[str]:
    """SOP classes that are cleaned (sop_classes.csv)."""
    text = resources.files(__package__).joinpath("sop_classes.csv").read_bytes()
    return frozenset(pl.read_csv(text, infer_schema=False, comment_prefix="#")["uid"])
