"""What a person gave on the command line: values, pairs, sections of a configuration file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from overread import limits, regular
from overread.errors import InputError

SECTIONS = {"cohort", "deidentification", "sample", "training", "evaluation", "options"}


def change(text: str) -> tuple[str, Any]:
    """A dotted key and a TOML value; a value that is no TOML is a word."""
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError("--set", "KEY=VALUE, such as training.epochs=5", f"'{text}'")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def pair(text: str) -> tuple[str, Path]:
    """MODEL=FOLDER as the two."""
    name, equals, folder = text.partition("=")
    if not equals:
        raise InputError("--heatmaps", "MODEL=FOLDER", f"'{text}'")
    return name, Path(folder)


def stated(config: Path | None, section: str, *, alone: bool = True) -> dict[str, Any]:
    """The section of a configuration file; where it may stand alone, the file may hold its keys at the top."""
    if config is None:
        return {}
    try:
        stated = tomllib.loads(regular.text(config, most=limits.DOCUMENT_BYTES))
    except FileNotFoundError as error:
        raise InputError(config, "a TOML file", "no file there") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(config, "TOML", str(error)) from error
    inner: dict[str, Any] = stated.get(section, stated if alone and not SECTIONS & set(stated) else {})
    return inner


def verified(wanted: bool, *paths: Path | str | None) -> None:
    """Compare every byte of these folders, and of those in which these files lie, where `--verify` was given."""
    if wanted:
        from overread.protocol import refuse_altered

        refuse_altered(*paths)
