"""What a person gave on the command line: values, pairs, and the configuration of a command."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from overread.credentials import address_fault
from overread.errors import InputError

if TYPE_CHECKING:
    from overread.findings import Vocabulary

SECTIONS = {"cohort", "deidentification", "sample", "training", "evaluation", "options"}

# An example of `--set` by the section of a command; "" = a whole protocol.
_EXAMPLES = MappingProxyType(
    {
        "": "training.epochs=5",
        "cohort": "seed=1",
        "deidentification": "device=false",
        "sample": "n=500",
        "training": "epochs=5",
        "evaluation": "replicates=500",
    }
)


def parsed_changes(texts: Sequence[str] | None, section: str = "") -> dict[str, Any]:
    """Dotted keys and TOML values of `--set`; a value that is no TOML is a word.

    Each key is given once. The section of the command may stand before a key, as in a protocol and in messages.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError("--set", f"KEY=VALUE, such as {_EXAMPLES[section]}", f"'{text}'")
        key = key.strip().removeprefix(f"{section}." if section else "")
        if key in found:
            raise InputError(f"--set {key}", "a value given once", "it is given twice", do="Leave one of them out.")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            found[key] = value.strip()
    return found


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
    from overread.tables.records.typed_files import read_toml

    if config is None:
        return {}
    stated = read_toml(config)
    top = {key: value for key, value in stated.items() if key != "findings" or not isinstance(value, dict)}
    inner = stated.get(section, top if alone and not SECTIONS & set(stated) else {})
    if not isinstance(inner, dict):
        raise InputError(config, f"a section [{section}]", f"a value ({inner!r:.80})")
    return inner


def configuration(
    kind: Any,
    name: str,
    config: Path | None,
    changes: Sequence[str] | None,
    given: Mapping[str, Any] | None = None,
    *,
    words: Vocabulary | None = None,
) -> Any:
    """The configuration of a command, from its section of a file, `--set KEY=VALUE`, and its own options.

    Parameters
    ----------
    kind
        the class of the configuration
    name
        its section, as in a protocol
    config
        the TOML file; None = no file
    changes
        values of `--set`, each in place of the file's; a dotted key is one of a section within (`recipe.size=96`)
    given
        values of the command's own options by their names; None = the option was not given
    words
        the vocabulary; None = that of the file, see `vocabulary`

    Raises
    ------
    InputError
        a key that is unknown, of the wrong kind, or given both by `--set` and by an option of its own; a vocabulary
        that is wrong
    """
    from overread.tables.records.configuration import field_values, parse_section, put_value

    values = stated(config, name)
    changed = parsed_changes(changes, name)
    chosen = field_values(kind, {key: value for key, value in (given or {}).items() if value is not None}, name)
    if twice := sorted(changed.keys() & chosen.keys()):
        raise InputError(f"--set {twice[0]}", "a value given once", "it is also given by an option of its own")
    for key, value in (changed | chosen).items():
        put_value(values, key, value)
    return parse_section(kind, values, name, vocabulary=words or vocabulary(config))


def vocabulary(config: Path | None, cohort: Path | None = None) -> Vocabulary:
    """The vocabulary that [findings] of a configuration file states; without one the cohort's, or "chest".

    Raises
    ------
    InputError
        The section lacks a finding of the cohort's vocabulary, or defines one otherwise.
    """
    from overread import findings, runs
    from overread.tables.records.typed_files import read_toml

    held = runs.vocabulary(cohort) if cohort is not None and runs.is_run(cohort) else None
    section = None if config is None else read_toml(config).get("findings")
    if config is None or not isinstance(section, dict):  # a list is the key of a section that stands alone
        return held or findings.load("chest")
    where = f"{config} [findings]"
    words = findings.stated(section, where, folder=config.parent)
    if held is not None and (others := held.differences(words, held.names())):
        raise InputError(
            where,
            f"the findings of the cohort {cohort}, with the title, code and parents that they have there",
            f"{len(others)} that are missing or defined otherwise",
            examples=others,
            do="Leave the section out, or state the findings as the file that the cohort was built with does.",
        )
    return words


def verified(wanted: bool, *paths: Path | str | None) -> None:
    """Compare every byte of these folders, and of those in which these files lie, where `--verify` was given."""
    if wanted:
        from overread.protocol import refuse_altered

        refuse_altered(*paths)
