"""Configuration of a stage from a section of a protocol or of another TOML file."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables.records.typed_files import checked_values

# An option of a command whose name is not that of the field: one that may be repeated is singular.
_FIELDS = MappingProxyType(
    {
        "external": ("external_sites",),
        "hypothesis": ("hypotheses",),
        "finding": ("findings",),
        "site": ("sites",),
        "size": ("n", "recipe.size"),
        "subgroup": ("subgroups",),
    }
)
# What a value of the wrong type should have been, by the code of the validation error.
_EXPECTED = MappingProxyType(
    {
        "bool": "true or false",
        "dataclass": "a section of keys and values",
        "dict": "a section of keys and values",
        "float": "a number",
        "int": "a whole number",
        "mapping": "a section of keys and values",
        "string": "text",
    }
)


def parse_section(
    kind: Any,
    stated: Mapping[str, Any],
    where: str,
    *,
    derived: Mapping[str, Any] | None = None,
    vocabulary: Vocabulary | None = None,
) -> Any:
    """Return the configuration of a stage from a section of a protocol.

    Parameters
    ----------
    kind : type
        The class of the configuration.
    stated : mapping
        The keys and values of the section.
    where : str
        The place named in messages.
    derived : mapping, optional
        Values that follow from the rest of the protocol; the section must not contain them.
    vocabulary : Vocabulary, optional
        The vocabulary of findings, which a file gives in its section [findings]; None = the vocabulary "chest".

    Returns
    -------
    object
        A validated instance of `kind`.

    Raises
    ------
    InputError
        All keys that are unknown, of the wrong type, or given twice, in one error.
    """
    if not isinstance(stated, Mapping):
        raise InputError(where, "a section of keys and values", f"{stated!r:.80}")
    known = {f.name for f in fields(kind)}
    words = vocabulary or load_vocabulary()
    derived = {k: v for k, v in {**(derived or {}), "vocabulary": words}.items() if k in known}
    problems = []
    for key in stated:
        if key in derived:
            problems.append(InputError(where, f"'{key}' to follow from the rest of the protocol", "it given here"))
        elif key not in known:
            problems.append(_unknown(where, key, known - set(derived)))
    if problems:
        raise InputError.all(problems)
    checked_values(stated, where)
    try:
        made = strictly(kind, {**stated, "vocabulary": asdict(words)} if "vocabulary" in known else stated)
    except ValidationError as error:
        raise InputError.all([problem(e, stated, where) for e in error.errors()[:20]]) from error
    return replace(made, **derived)


def put_value(stated: dict[str, Any], dotted: str, value: Any) -> None:
    """Set the value of a dotted key; missing sections are created."""
    *sections, last = dotted.split(".")
    if not all((*sections, last)):
        raise InputError("--set", "a key such as training.epochs", f"'{dotted}'")
    for key in sections:
        stated = stated.setdefault(key, {})
        if not isinstance(stated, dict):
            raise InputError(f"--set {dotted}", f"'{key}' to be a section", f"a value ({stated!r:.80})")
    stated[last] = value


def field_values(kind: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return values by field (or dotted key) of a configuration, where they may be given by the option of a command.

    >>> from overread.cohort import CohortConfig
    >>> field_values(CohortConfig, {"external": "north", "size": 96}, "build")
    {'external_sites': ('north',), 'recipe.size': 96}
    """
    known, found = {f.name for f in fields(kind)}, {}
    for name, value in values.items():
        names = (name, *_FIELDS.get(name, ()))
        key = next((each for each in names if each.partition(".")[0] in known), name)
        if key in found:
            raise InputError(where, f"{key}: a value given once", f"it is also given as '{name}'")
        repeated = key != name and "." not in key and isinstance(value, str)  # one value of an option for several
        found[key] = (value,) if repeated else value
    return found


def with_settings(config: Any, settings: Mapping[str, Any], where: str) -> Any:
    """Replace fields of a configuration by keyword arguments, validated like those of a file.

    Names of options of the command are accepted for those of the fields. The value of `vocabulary` is a Vocabulary; by
    default that of the configuration is kept.

    >>> from overread.cohort import CohortConfig
    >>> with_settings(CohortConfig(), {"seed": 3}, "build").seed
    3
    """
    if not settings:
        return config
    own = getattr(config, "vocabulary", None)
    words = settings.get("vocabulary", own)
    if own is not None and not isinstance(words, Vocabulary):
        do = 'Load it: vocabulary=overread.findings.load("words.toml").'
        raise InputError(where, "vocabulary: a Vocabulary", f"{words!r:.80}", do=do)
    values = field_values(type(config), {k: v for k, v in settings.items() if k != "vocabulary" or own is None}, where)
    stated: dict[str, Any] = {}
    for key, value in values.items():
        put_value(stated, key, asdict(value) if is_dataclass(value) and not isinstance(value, type) else value)
    made = parse_section(type(config), stated, where, vocabulary=words)
    changed: dict[str, Any] = {} if own is None else {"vocabulary": words}
    for key in values:
        name, inside, inner = key.partition(".")
        part = getattr(made, name)
        changed[name] = replace(getattr(config, name), **{inner: getattr(part, inner)}) if inside else part
    return replace(config, **changed)


def strictly(kind: Any, stated: Mapping[str, Any]) -> Any:
    """Validate values without conversion, except of lists to tuples and of integers to floats.

    TOML distinguishes integers, floats, strings and Booleans: `true` is not 1, and "5" is a string. Dates become
    strings.
    """
    return TypeAdapter(kind).validate_json(json.dumps(stated, default=_plain), strict=True)


def _plain(value: Any) -> Any:
    """Return a NumPy number as a number of Python, and a date or path as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def problem(
    error: Any,
    stated: Mapping[str, Any],
    where: str,
    known_keys: Callable[[tuple[str, ...]], Collection[str]] = lambda place: (),
) -> InputError:
    """Convert a validation error of pydantic to an InputError; `known_keys` returns the keys of a section."""
    *place, key = [str(p) for p in error["loc"]] or [""]
    spot = f"{where} [{'.'.join(place)}]" if place else where
    if error["type"] == "extra_forbidden":
        return _unknown(spot, key, known_keys(tuple(place)))
    if error["type"] == "missing":
        found = _keys_at(stated, place)
        return InputError(spot, f"a key '{key}'", f"keys {', '.join(found) or '(none)'}")
    name = f"item {int(key) + 1}" if key.isdecimal() else key
    return InputError(spot, f"{name}: {_expected(error)}", f"{error['input']!r:.120}")


def _expected(error: Any) -> str:
    """Return what was expected, in the words of a user where the error is one of type."""
    kind, given = error["type"].partition("_")[0], error["input"]
    if kind in ("frozen", "list", "set", "tuple"):
        # The length of an inner list is not known here, so that one with this value alone could be wrong as well.
        whole = isinstance(given, str | int | float) and not isinstance(error["loc"][-1], int)
        return f"a list, such as [{json.dumps(given)}]" if whole else "a list"
    return _EXPECTED.get(kind, error["msg"])


def _unknown(where: str, key: str, known: Any) -> InputError:
    hint = did_you_mean(key, known) or "Known keys: " + ", ".join(sorted(known)) + "."
    return InputError(where, "known keys", f"unknown key '{key}'", do=hint)


def _keys_at(stated: Any, place: list[str]) -> list[str]:
    for key in place:
        stated = stated.get(key, {}) if isinstance(stated, dict) else {}
    return list(stated) if isinstance(stated, dict) else []
