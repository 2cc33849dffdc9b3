"""Commands on a whole study: `demo`, `run`, `check`, `verify` and `plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from overread.cli.arguments import configuration, parsed_changes, verified
from overread.cli.options import Changes, Config, ExtraFindings, Out, Outside, Verify, Workers, processes
from overread.cli.terminal import put, shown
from overread.errors import InputError


def demo(
    out: Out = Path("overread-demo"),
    seeds: Annotated[
        int,
        typer.Option(
            min=1, max=100, help="Number of training seeds of each model; the hypothesis on pooled training needs 3."
        ),
    ] = 1,
    workers: Workers = None,
) -> None:
    """Simulate five hospitals, train on three, test on two others, and write the report, in a few minutes."""
    from overread.protocol.study_run import demo

    with shown() as progress:
        page = demo(out, seeds=seeds, workers=processes(workers), progress=progress)
    put(f"Report: {page.resolve()}")


def run(
    protocol: Annotated[Path, typer.Argument(metavar="PROTOCOL", help="The TOML file that defines the study.")],
    out: Out,
    data: Annotated[Path | None, typer.Option(help="The folder that the roots of the sources are relative to.")] = None,
    changes: Changes = None,
    allow_outside: Outside = False,
    workers: Workers = None,
    verify: Verify = False,
) -> None:
    """Run a whole study from its protocol; finished and unchanged stages are not repeated."""
    from overread.protocol import remarks, run
    from overread.protocol.stage_folder import stamps

    verified(verify, *stamps(out))
    with shown() as progress:
        page = run(
            protocol,
            out,
            data=data,
            workers=processes(workers),
            changes=parsed_changes(changes),
            allow_outside=allow_outside,
            progress=progress,
        )
    for remark in remarks(out / "evaluation"):
        put(remark)
    put(f"Report: {page.resolve()}")


def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV or Parquet file, a protocol or configuration (.toml).")
    ],
    table: Annotated[str, typer.Option(help="Which table it is. Default: recognised by its name or columns.")] = "",
    extra_findings: ExtraFindings = None,
    config: Config = None,
    changes: Changes = None,
) -> None:
    """Check a table, protocol or configuration as the commands read it, and show what each column is taken for."""
    from overread.evaluation import EvaluationConfig
    from overread.protocol import check

    given = configuration(EvaluationConfig, "evaluation", config, changes) if config or changes else None
    for text in check(file, table, config=given, extra_findings=extra_findings or ()):
        put(text)


def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A study, the folder of one command, or a folder of such folders.")
    ],
) -> None:
    """Compare every file in a folder with the record of the run that wrote it, and name altered files."""
    from overread.protocol import verify

    found = verify(folder)
    for each in found:
        for sentence in each.sentences():
            put(sentence)
    altered = [each.folder for each in found if not each.unchanged]
    if altered:
        raise InputError(folder, "every file as it was written", f"differences in {len(altered)} folders")
    put("Everything is as it was written.")


def plan(
    auc: Annotated[float, typer.Option(help="Expected AUC of the model.")] = 0.85,
    auc_width: Annotated[
        float, typer.Option(help="Width of the confidence interval of the AUC, from limit to limit.")
    ] = 0.10,
    auc_least: Annotated[float, typer.Option(help="AUC that the model must exceed.")] = 0.75,
    auc_other: Annotated[float, typer.Option(help="Expected AUC of another model on the same cases.")] = 0.80,
    auc_correlation: Annotated[float, typer.Option(help="Correlation of the two estimates of AUC.")] = 0.5,
    sensitivity: Annotated[float, typer.Option(help="Expected sensitivity at the frozen threshold.")] = 0.90,
    specificity: Annotated[float, typer.Option(help="Expected specificity at the frozen threshold.")] = 0.90,
    half_width: Annotated[
        float, typer.Option(help="Half-width of the intervals of sensitivity and specificity.")
    ] = 0.05,
    sensitivity_gain: Annotated[
        float, typer.Option(help="Gain in sensitivity of one rater over another on the same cases.")
    ] = 0.07,
    discordant: Annotated[
        float, typer.Option(help="Share of cases with the finding that the two raters call differently.")
    ] = 0.17,
    prevalence: Annotated[float, typer.Option(help="Prevalence of the finding among the cases.")] = 0.10,
    images_per_patient: Annotated[
        float, typer.Option(help="Mean number of images per patient; 1 = one for each patient.")
    ] = 1.0,
    image_correlation: Annotated[float, typer.Option(help="Correlation of results on images of one patient.")] = 0.5,
    readers: Annotated[int, typer.Option(help="Number of readers, each in two arms.")] = 10,
    reader_auc: Annotated[float, typer.Option(help="Mean AUC of the readers without aid.")] = 0.80,
    reader_gain: Annotated[float, typer.Option(help="Gain in AUC of the readers in the other arm.")] = 0.06,
    reader_range: Annotated[float, typer.Option(help="AUC of the best reader minus AUC of the worst reader.")] = 0.06,
    reader_repeat: Annotated[float, typer.Option(help="Difference in AUC between two readings by one reader.")] = 0.02,
    reader_correlation: Annotated[
        float, typer.Option(help="Correlation between the arms of a reader, from reading the same cases.")
    ] = 0.47,
    present_share: Annotated[
        float, typer.Option(help="Share of cases with the finding among those that are read.")
    ] = 0.5,
    power: Annotated[float, typer.Option(help="Power of the tests.")] = 0.80,
    confidence: Annotated[
        float, typer.Option(help="Confidence level of intervals; tests are two-sided at 1 minus this level.")
    ] = 0.95,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A file NAME.csv, or a folder for plan.csv and plan.txt.")
    ] = None,
) -> None:
    """Compute how many patients, cases and readers a study needs, with the sentences for its protocol."""
    expected = dict(locals())
    where = expected.pop("out")
    from rich.console import Console
    from rich.table import Table

    from overread import protocol

    made = protocol.plan(protocol.Expected(**expected))
    shown = Table("Question", "Assumed", "Present", "Absent", "Cases", "Patients", box=None)
    for column in shown.columns[2:]:
        column.justify = "right"
    for question, assumed, *numbers in made.table[:, :6].iter_rows():
        shown.add_row(question, assumed, *("—" if n is None else f"{n:,}" for n in numbers))
    Console(highlight=False).print(shown)
    for text in ("", "For the protocol:", ""):
        put(text)
    for sentence in made.sentences:
        put(f"- {sentence}")
    if where:
        put("")
        put(f"Plan: {made.write(where).resolve()}")
