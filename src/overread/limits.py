"""Limits on the size of input files, tables and numbers, each with its reason.

They are far above the needs of radiographs, their tables and sensible studies, and below what would exhaust the memory
or time of a machine. docs/reference/limits.md lists them and explains which can be raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from overread.errors import InputError

# One picture. The largest detectors give about 20 million pixels.
PIXELS = 100_000_000
# The largest picture uncompressed in colour of 16 bits is 600 MB.
IMAGE_BYTES = 1 << 30
# Progressive JPEG files have about ten scans; each costs a pass over the whole picture.
JPEG_SCANS = 100
# Elements before the pixels of a DICOM file, as a scan of headers reads them.
HEADER_BYTES = 8 << 20
# Items of all its sequences before the pixels; the longest structured reports have some thousands.
HEADER_ITEMS = 20_000


# Tables. 1,000,000 images with 14 findings in long form are 56 million cells in 0.6 GB of text.
TABLE_BYTES = 4 << 30
TEXT_BYTES = 1 << 30
LINE_BYTES = 1 << 20  # the line of column names
ROW_BYTES = 8 << 20  # any other line; the longest reports have some kB
COLUMNS = 10_000
CELLS = 250_000_000
QUOTED_CELLS = 20_000_000  # of a text that has to be divided record by record, at 100 bytes a cell

# Configurations, protocols, reports and keys are a few kB; records (JSON) that overread or an owner of data writes,
# up to some MB.
DOCUMENT_BYTES = 4 << 20
JSON_BYTES = 256 << 20
# Patients of a training set, a line each: 10 million of them.
LIST_BYTES = 256 << 20
# DenseNet-121 is 28 MB, the largest networks in use for radiographs are below 2 GB.
WEIGHT_BYTES = 4 << 30

# Answers of a PACS: one object, one page of a search, seconds for one answer, finds of one search, redirections.
OBJECT_BYTES = 1 << 30
ANSWER_BYTES = 64 << 20
REQUEST_SECONDS = 600.0
FOUND = 1_000_000
REDIRECTS = 5

PROCESSES = 1024
SEED = 2**32 - 1  # what every generator of random numbers in use accepts


# One file in a worker process. A radiograph takes 10 ms to 1 s of processor time and below 200 MB of memory; 100
# million pixels of JPEG 2000 take about 20 s.
FILE_SECONDS = 30.0
FILE_MEMORY_MB = 1536


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for reading one file in a worker process: seconds of processor time, and MB of memory.

    Memory is counted beyond that of the process at its start.
    """

    seconds: float = FILE_SECONDS
    memory_mb: int = FILE_MEMORY_MB


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number and not a Boolean.

    >>> is_number(0.5), is_number(True), is_number(float("inf")), is_number("1")
    (True, False, False, False)
    """
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and (isinstance(value, int) or isfinite(value))
    )


def outside(where: str, value: Any, low: float, high: float, *, whole: bool = False) -> list[InputError]:
    """Check that a value is a number from `low` to `high` (inclusive), and whole if required; [] if it is.

    >>> print(*outside("evaluation.replicates", 10**11, 100, 100_000, whole=True))
    evaluation.replicates: expected a whole number from 100 to 100,000; found 100000000000.
    """
    if is_number(value) and low <= value <= high and (not whole or value == int(value)):
        return []
    kind = "a whole number" if whole else "a number"
    return [InputError(where, f"{kind} from {_plain(low)} to {_plain(high)}", shown(value))]


def shown(value: Any) -> str:
    """Format a value of the user for a message; long values are shortened.

    >>> shown((0.5, 0.5)), shown(10**5000)
    ('(0.5, 0.5)', 'a number of thousands of digits')
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 100 else f"{text[:100]}…"


def _plain(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
