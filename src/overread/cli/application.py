"""The application `overread`: every command under its name, and how an error ends it."""

from __future__ import annotations

import errno
import io
import sys
from typing import Annotated

import typer

from overread.cli import cohort_commands, evaluation_commands, model_commands, study_commands
from overread.cli.arguments import check_words
from overread.cli.terminal import put, say
from overread.errors import InputError

# What only `overread[train]` installs.
_TRAINING = {"torch", "lightning_fabric", "safetensors"}

COMMANDS = (
    study_commands.demo,
    study_commands.run,
    study_commands.check,
    cohort_commands.cohort,
    cohort_commands.deidentify,
    cohort_commands.splits,
    cohort_commands.sample,
    model_commands.train,
    model_commands.predict,
    evaluation_commands.evaluate,
    evaluation_commands.report,
    study_commands.verify,
    study_commands.plan,
)
"""The commands in the order of the help."""

app = typer.Typer(
    help="From radiographs of several hospitals to the evidence about a classifier of their findings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)


def main() -> None:
    """Run a command; an error that the user can correct is one paragraph and exit code 2, Ctrl-C is exit code 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding gets escapes, no traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        check_words(sys.argv[1:])  # before anything can show or store a word
        app()
    except InputError as error:
        say(str(error), red=True)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        say(
            f"{str(error.filename)[:80]}…: this file system allows no name as long as that. Use a shorter one.",
            red=True,
        )
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in _TRAINING:
            raise
        say(f"This command needs {error.name}: pip install 'overread[train]'.", red=True)
        sys.exit(2)
    except SystemExit as stop:
        if stop.code == 130:  # what typer makes of Ctrl-C
            say("Stopped. The same command goes on where this one was.")
        raise


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        put(f"overread {version('overread')}")
        raise typer.Exit()


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that belong to no command."""


for _command in COMMANDS:  # with the whole summary in the list of commands, which is otherwise cut to the width
    app.command(short_help=(_command.__doc__ or "").partition("\n\n")[0])(_command)
