"""Readers of JSON, TOML and NumPy files; any file gives a value or an InputError.

The content of JSON files of overread is declared in `tables.records.kinds` and checked by pydantic. Always refused:
text that is not UTF-8, duplicate keys, NaN and infinity, integers of more than 64 bits, nesting beyond 64 levels, NUL
characters and halves of surrogate pairs. Pickles are never read.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from overread import limits, regular
from overread.errors import InputError

_DEEPEST = 64  # levels: what reads the values later goes down by recursion
_UNWRITABLE = re.compile("[\x00\\ud800-\\udfff]")


def read_json(path: Path | str, kind: Any, *, do: str = "") -> Any:
    """Read a JSON file and check its value against `kind`; `do` is the advice for a damaged file."""
    path = Path(path)
    return typed(json_value(read_text(path, "a JSON file", most=limits.JSON_BYTES), path, do=do), kind, path, do=do)


def read_toml(path: Path | str, expected: str = "a TOML file") -> dict[str, Any]:
    """Read a TOML file."""
    path = Path(path)
    return toml_value(read_text(path, expected), path)


def json_value(text: str, where: object, *, do: str = "") -> Any:
    """Parse a JSON text."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise _too_deep(where, "JSON", do) from error
    except ValueError as error:
        raise InputError(where, "JSON", str(error), do=do) from error
    return checked_values(value, where, do=do)


def toml_value(text: str, where: object) -> dict[str, Any]:
    """Parse a TOML text."""
    try:
        value = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep(where, "TOML") from error
    except ValueError as error:  # TOMLDecodeError is one; a date or a number can raise another
        raise InputError(where, "TOML", str(error)) from error
    checked: dict[str, Any] = checked_values(value, where)
    return checked


def typed(value: Any, kind: Any, where: object, *, do: str = "") -> Any:
    """Check a value against a type known to pydantic, without conversion; all problems are reported."""
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        problems = [
            InputError(
                where, f"{'.'.join(str(p) for p in e['loc']) or 'the file'}: {e['msg']}", _short(e["input"]), do=do
            )
            for e in error.errors()
        ]
        raise InputError.all(problems[:20]) from error
    return value


def checked_values(value: Any, where: object, *, do: str = "") -> Any:
    """Refuse values that the rest of the program could not write, compare or traverse."""
    left: list[tuple[Any, int, str]] = [(value, 1, "")]
    while left:
        item, depth, place = left.pop()
        if isinstance(item, Mapping):
            left += [(part, depth + 1, f"{place}.{key}") for key, part in item.items()]
            left += [(key, depth + 1, place) for key in item]
        elif isinstance(item, list | tuple):
            left += [(part, depth + 1, place) for part in item]
        fault = _fault(item) if depth <= _DEEPEST else ("values nested in at most 64 levels", "more")
        if fault is not None:
            raise InputError(f"{where}, {_short_text(place[1:])}" if place else where, *fault, do=do)
    return value


def _fault(item: Any) -> tuple[str, str] | None:
    """Return what was expected instead of an unusable value, and what was found."""
    if isinstance(item, str) and _UNWRITABLE.search(item):
        return "text that can be written", f"a NUL character or half a character in {_short(item)}"
    if isinstance(item, float) and not isfinite(item):
        return "finite numbers", str(item)
    if isinstance(item, int) and not -(2**63) <= item < 2**63:
        return "whole numbers of at most 64 bits", f"one of {item.bit_length():,} bits"
    return None


def read_array(
    path: Path | str, dtypes: tuple[type[np.generic], ...], shape: tuple[int | None, ...], *, do: str = ""
) -> NDArray[Any]:
    """Open a .npy file as a memory map; it must have one of the types and the shape (None = any length)."""
    path, type_names = Path(path), " or ".join(np.dtype(t).name for t in dtypes)
    sizes = ", ".join("n" if n is None else str(n) for n in shape)
    try:
        values = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise InputError(path, "an array (.npy)", "no file there", do=do) from error
    except Exception as error:  # a header is a Python literal: it can be wrong in any of Python's ways
        raise InputError(
            path, f"an array (.npy) of {type_names} ({sizes})", "a damaged file, or none", do=do
        ) from error
    fits = values.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, values.shape, strict=True))
    if values.dtype not in [np.dtype(t) for t in dtypes] or not fits:
        raise InputError(path, f"{type_names} ({sizes})", f"{values.dtype} {values.shape}", do=do)
    return values


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_text(path: Path, expected: str, *, most: int = limits.DOCUMENT_BYTES) -> str:
    """Read the UTF-8 text of a regular file of at most `most` bytes, with or without a byte order mark."""
    try:
        if not regular.kind(path) and not os.path.isfile(path):  # also where the name is too long
            raise InputError(path, expected, "no file there", do="Check the path.")
        return regular.content(path, most=most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, f"{expected} in UTF-8", "bytes that are not", do="Save it as UTF-8.") from error
    except OSError as error:
        raise InputError(path, expected, f"a file that cannot be read ({error.strerror})") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)[:80]!r} twice")
    return found


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word}, which is no number of JSON")


def _too_deep(where: object, what: str, do: str = "") -> InputError:
    return InputError(where, f"{what} nested in at most {_DEEPEST} levels", "more", do=do)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"
    return _short_text(text)


def _short_text(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}…"
