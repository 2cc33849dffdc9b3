"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder for the result.")]
Config = Annotated[Path | None, typer.Option(help="A TOML file with the section of the same name as in a protocol.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value in place of the one in the file; may be repeated."),
]
ExtraFindings = Annotated[
    list[str] | None,
    typer.Option(
        "--extra-findings",
        metavar="TITLE[<PARENT]",
        help="A finding of the study's own, by title, optionally with parents, or a TOML file of such findings; "
        "may be repeated.",
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, max=1024, help="Number of processes. Default: every core.")]
Verify = Annotated[bool, typer.Option("--verify", help="First compare every byte that is read with its hash.")]
Outside = Annotated[bool, typer.Option("--allow-outside", help="Allow paths that lead out of the folder of the data.")]
Title = Annotated[str, typer.Option(help="The title of the report; otherwise it names what was evaluated.")]


def processes(workers: int | None) -> int:
    """Return the number of processes that `--workers` asks for; without the option one per core."""
    return workers or os.cpu_count() or 1
