"""What a person gave on the command line: values, pairs, sections of a configuration file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from overread import findings, runs
from overread.credentials import address_fault
from overread.errors import InputError
from overread.tables.records.typed_files import read_toml

SECTIONS = {"cohort", "deidentification", "sample", "training", "evaluation", "options"}


def change(text: str) -> tuple[str, Any]:
    """A dotted key and a TOML value; a value that is no TOML is a word."""
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError("--set", "KEY=VALUE, such as training.epochs=5", f"'{text}'")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value.strip()


def check_words(words: Sequence[str]) -> None:
    """Refuse a command line with an address that holds a user, a password or a token, which would be shown or stored.

    The message names the option, never the word.
    """
    for before, word in zip(["", *words], words, strict=False):
        if fault := address_fault(word, strict=False):
            option = word.partition("=")[0] if word.startswith("-") else before if before.startswith("-") else ""
            raise InputError(
                option if re.fullmatch(r"-{1,2}[a-z-]+", option) else "the command line",
                "an address without a password, token or user",
                f"one with {fault}",
                do="Commands read files: fetch it first. Who reads a server states its credentials by env:NAME.",
            )


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
    stated = read_toml(config)
    top = {key: value for key, value in stated.items() if key != "findings" or not isinstance(value, dict)}
    inner = stated.get(section, top if alone and not SECTIONS & set(stated) else {})
    if not isinstance(inner, dict):
        raise InputError(config, f"a section [{section}]", f"a value ({inner!r:.80})")
    return inner


def vocabulary(config: Path | None, cohort: Path | None = None) -> findings.Vocabulary:
    """The vocabulary that [findings] of a configuration file states; without one the cohort's, or "chest"."""
    section = {} if config is None else read_toml(config).get("findings")
    if config is not None and isinstance(section, dict):  # a list is the key of a section that stands alone
        return findings.stated(section, f"{config} [findings]", folder=config.parent)
    return runs.vocabulary(cohort) if cohort is not None and runs.is_run(cohort) else findings.load("chest")


def verified(wanted: bool, *paths: Path | str | None) -> None:
    """Compare every byte of these folders, and of those in which these files lie, where `--verify` was given."""
    if wanted:
        from overread.protocol import refuse_altered

        refuse_altered(*paths)
