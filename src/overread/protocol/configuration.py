"""The configuration of a stage from what a person states: a section of a protocol or of a TOML file."""

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
    """A stage's configuration from what a section of a protocol states.

    `derived` holds values that follow from the rest of the protocol: a section must not state them too. `vocabulary` is
    that of the findings that it names, None = "chest"; a file states it in a section of its own, [findings].
    Raises InputError that says every key that is unknown, of the wrong kind, or stated twice.
    """
    if not isinstance(stated, Mapping):
        raise InputError(where, "a section of keys and values", f"{stated!r:.80}")
    known = {f.name for f in fields(kind)}
    words = vocabulary or load_vocabulary()
    derived = {k: v for k, v in {**(derived or {}), "vocabulary": words}.items() if k in known}
    problems = []
    for key in stated:
        if key in derived:
            problems.append(InputError(where, f"'{key}' to follow from the rest of the protocol", "it stated here"))
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
    """Put a value in the place of a dotted key, in sections that are made where they are missing."""
    *sections, last = dotted.split(".")
    if not all((*sections, last)):
        raise InputError("--set", "a key such as training.epochs", f"'{dotted}'")
    for key in sections:
        stated = stated.setdefault(key, {})
        if not isinstance(stated, dict):
            raise InputError(f"--set {dotted}", f"'{key}' to be a section", f"a value ({stated!r:.80})")
    stated[last] = value


def with_settings(config: Any, settings: Mapping[str, Any], where: str) -> Any:
    """A configuration with fields that were given by keyword, checked as those of a file are.

    The field `vocabulary` is a Vocabulary; without it that of the configuration holds.

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
    """The value of a kind that is stated; nothing is converted but lists to tuples and whole numbers to others.

    TOML knows whole numbers, others, texts and Booleans apart: `true` is not 1, and "5" is a text. Dates become the
    texts that they are written as.
    """
    return TypeAdapter(kind).validate_json(json.dumps(stated, default=str), strict=True)


def problem(
    error: Any,
    stated: Mapping[str, Any],
    where: str,
    known_keys: Callable[[tuple[str, ...]], Collection[str]] = lambda place: (),
) -> InputError:
    """A validation error of pydantic as the user reads it; `known_keys` are those of a section, by its place."""
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
