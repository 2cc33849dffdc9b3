"""Descriptions of faults of image files; messages never contain the text of a library's exception."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from overread.errors import InputError

# What pydicom and the decoders raise on files that are broken; any other exception is a defect of overread and stays a
# traceback.
BROKEN = (
    InvalidDicomError,
    BytesLengthException,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    MemoryError,
    AssertionError,
)
MEMORY = "it asks for more memory than there is"
# The first class that fits names the fault. RecursionError and NotImplementedError are RuntimeErrors, so they stand
# before it.
_WORDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (MemoryError, MEMORY),
    (RecursionError, "its sequences are nested too deeply"),
    (NotImplementedError, "it uses an encoding that is not supported"),
    ((EOFError, struct.error, BytesLengthException), "an element is shorter or longer than its type allows"),
    (zlib.error, "its deflated stream is broken"),
    (OSError, "its bytes cannot be read"),
    (RuntimeError, "the decoder found it broken"),
)


class Fault(ValueError):
    """A fault that overread found in a file; its text may be used in messages."""


def said(error: BaseException) -> str:
    """Description of a fault: the text of a Fault, otherwise the kind of failure.

    >>> said(Fault("the stream has no frame header"))
    'the stream has no frame header'
    >>> said(ValueError("could not convert string to float: '0,143'"))
    'its structure is broken'
    """
    if isinstance(error, Fault):
        return str(error)
    if isinstance(error, InputError):
        return error.found
    return next((words for kinds, words in _WORDS if isinstance(error, kinds)), "its structure is broken")


@contextmanager
def lenient() -> Iterator[None]:
    """Let pydicom read values that violate their value representation without a warning; they are checked here."""
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def readable(where: Path | str, expected: str) -> Iterator[None]:
    """Convert exceptions that a damaged file causes in its readers to an InputError with a description."""
    try:
        yield
    except BROKEN as error:
        found = f"one that cannot be read: {said(error)}"
        raise InputError(where, expected, found, do="Fetch the file again.") from error
