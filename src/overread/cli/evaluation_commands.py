"""Commands on the evidence: `evaluate` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from overread.cli.arguments import configuration, pair, verified, vocabulary
from overread.cli.options import Changes, Config, ExtraFindings, Out, Title, Verify, Workers, processes
from overread.cli.terminal import line, put


def evaluate(
    out: Out,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A table of images: patient, site, sex, age, view; may be repeated. Without it the patients are those "
            "of a column of the labels or reads, or every case is a patient of its own.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SOURCE=]FILE",
            help="A table of labels, long or wide (1, 0, -1); may be repeated. Needed with predictions.",
        ),
    ] = None,
    predictions: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="The scores of a model, long or wide; may be repeated.")
    ] = None,
    reads: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[READER=]FILE",
            help="The answers of readers, long, wide or boxes; a file of one reader is named as the reader; may be "
            "repeated. Alone or with predictions.",
        ),
    ] = None,
    made_by: Annotated[
        Path | None,
        typer.Option(
            "--made-by",
            metavar="FILE",
            help="The readers who made the label of a case (source, case_id, reader), which does not judge them.",
        ),
    ] = None,
    sittings: Annotated[
        Path | None, typer.Option(help="Reading times and trust of the reads, one row per case that a reader read.")
    ] = None,
    tune: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Scores of tuning cases, from which thresholds are chosen; may be repeated."),
    ] = None,
    thresholds: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Given thresholds (model, finding, name, threshold): locked, so that all cases are tested; may be "
            "repeated.",
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="The folder of a model, with its thresholds and training sites; may be repeated."
        ),
    ] = None,
    finding: Annotated[
        list[str] | None, typer.Option(metavar="FINDING", help="A finding of the mean over findings; may be repeated.")
    ] = None,
    extra_findings: ExtraFindings = None,
    reference: Annotated[str, typer.Option(help="The label source that is the reference standard.")] = "",
    external: Annotated[
        list[str] | None, typer.Option(metavar="SITE", help="A site that was not used in training; may be repeated.")
    ] = None,
    subgroup: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column of the images that defines subgroups; may be repeated."),
    ] = None,
    hypothesis: Annotated[
        list[str] | None,
        typer.Option(metavar="H1|H2", help="A hypothesis on which a verdict is given; may be repeated."),
    ] = None,
    baseline_arm: Annotated[
        str, typer.Option(metavar="ARM", help="The arm of reads that is subtracted from the others; unaided if there.")
    ] = "",
    seed: Annotated[int | None, typer.Option(help="Seed of resampling and of the random half for tuning.")] = None,
    title: Title = "",
    config: Config = None,
    changes: Changes = None,
    workers: Workers = None,
    verify: Verify = False,
) -> None:
    """Evaluate predictions of any model, reads of readers, or both, and write the report."""
    from overread import findings
    from overread.evaluation import EvaluationConfig
    from overread.protocol import evaluate, remarks

    named = [file.partition("=")[2] or file for file in (*(labels or ()), *(reads or ()))]
    files = [*(images or ()), *(predictions or ()), *(thresholds or ()), *(model or ())]
    verified(verify, out / "run.json", *named, *files)
    words = findings.with_extra_findings(vocabulary(config), extra_findings or ())
    given = {
        "finding": [*words.names_of(finding)] if finding else None,
        "reference": reference or None,
        "external": external or None,
        "subgroup": subgroup or None,
        "hypothesis": hypothesis or None,
        "baseline_arm": baseline_arm or None,
        "seed": seed,
    }
    chosen = configuration(EvaluationConfig, "evaluation", config, changes, given, words=words)
    with line("evaluate") as progress:
        evaluate(
            images or None,
            labels or None,
            predictions or None,
            out=out,
            config=chosen,
            tune=tune or (),
            thresholds=thresholds or (),
            models=model or (),
            reads=reads or None,
            made_by=made_by,
            sittings=sittings,
            title=title,
            workers=processes(workers),
            progress=progress,
        )
    for remark in remarks(out):
        put(remark)
    put(f"Report: {(out / 'report' / 'report.html').resolve()}")


def report(
    evaluation: Annotated[Path, typer.Argument(metavar="EVALUATION", help="The folder of an evaluation.")],
    out: Out,
    title: Title = "",
    cohort: Annotated[Path | None, typer.Option(help="The folder of the cohort, for participants and pixels.")] = None,
    heatmaps: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=FOLDER", help="The folder of a model's predictions; may be repeated."),
    ] = None,
    model: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="The folder of a model; may be repeated.")
    ] = None,
    statements: Annotated[
        Path | None, typer.Option(help="A TOML file of statements by the authors, for the checklists.")
    ] = None,
    workers: Workers = None,
    verify: Verify = False,
) -> None:
    """Write the report of an evaluation: one HTML page, with estimates, tables for Word and figures beside it."""
    from overread.protocol import report

    verified(verify, evaluation, cohort, *(m.partition("=")[2] for m in heatmaps or []), *(model or []))
    page = report(
        evaluation,
        out,
        title=title,
        cohort=cohort,
        heatmaps=dict(pair(h) for h in heatmaps or []),
        models=model or (),
        statements=statements,
        workers=processes(workers),
    )
    put(f"Report: {page.resolve()}")
