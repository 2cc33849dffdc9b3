"""Configuration of a stage from a section of a protocol or of another TOML file."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables.records.typed_files import checked_values


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


def with_settings(config: Any, settings: Mapping[str, Any], where: str) -> Any:
    """Replace fields of a configuration by keyword arguments, validated like those of a file.

    The value of `vocabulary` is a Vocabulary; by default that of the configuration is kept.

    >>> from overread.cohort import CohortConfig
    >>> with_settings(CohortConfig(), {"seed": 3}, "build").seed
    3
    """
    if not settings:
        return config
    words = settings.get("vocabulary", config.vocabulary)
    if not isinstance(words, Vocabulary):
        do = 'Load it: vocabulary=overread.findings.load("words.toml").'
        raise InputError(where, "vocabulary: a Vocabulary", f"{words!r:.80}", do=do)
    values = {name: value for name, value in settings.items() if name != "vocabulary"}
    made = parse_section(type(config), values, where, vocabulary=words)
    return replace(config, vocabulary=words, **{name: getattr(made, name) for name in values})


def strictly(kind: Any, stated: Mapping[str, Any]) -> Any:
    """Validate values without conversion, except of lists to tuples and of integers to floats.

    TOML distinguishes integers, floats, strings and Booleans: `true` is not 1, and "5" is a string. Dates become
    strings.
    """
    return TypeAdapter(kind).validate_json(json.dumps(stated, default=str), strict=True)


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
    return InputError(spot, f"{key}: {error['msg']}", f"{error['input']!r:.120}")


def _unknown(where: str, key: str, known: Any) -> InputError:
    hint = did_you_mean(key, known) or "Known keys: " + ", ".join(sorted(known)) + "."
    return InputError(where, "a key that a protocol has", f"'{key}'", do=hint)


def _keys_at(stated: Any, place: list[str]) -> list[str]:
    for key in place:
        stated = stated.get(key, {}) if isinstance(stated, dict) else {}
    return list(stated) if isinstance(stated, dict) else []
