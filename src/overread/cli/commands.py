"""The commands: each reads, calls the function of the same name, and says where the result is."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from overread.cli.arguments import change as _change
from overread.cli.arguments import check_words as _check_words
from overread.cli.arguments import pair as _pair
from overread.cli.arguments import stated as _stated
from overread.cli.arguments import verified as _verified
from overread.cli.arguments import vocabulary as _vocabulary
from overread.cli.terminal import line, put, say, shown
from overread.errors import InputError

app = typer.Typer(
    help="From radiographs of several hospitals to the evidence about a classifier of their findings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# What only `overread[train]` installs.
_TRAINING = {"torch", "lightning_fabric", "safetensors"}


Out = Annotated[Path, typer.Option("--out", "-o", help="The folder for the result.")]
Config = Annotated[Path | None, typer.Option(help="A TOML file with the section of the same name as in a protocol.")]
Workers = Annotated[int | None, typer.Option(min=1, max=1024, help="Processes; default: every core.")]
Verify = Annotated[bool, typer.Option("--verify", help="First compare every byte of what is read with its hash.")]
Outside = Annotated[bool, typer.Option("--allow-outside", help="Allow paths that lead out of the folder of the data.")]


def main() -> None:
    """Run a command; what the user can mend is said in one paragraph (exit 2), a stop by Ctrl-C exits 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding gets escapes, no traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        _check_words(sys.argv[1:])  # before anything can show or store a word
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


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        put(f"overread {version('overread')}")
        raise typer.Exit()


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that belong to no command."""


@app.command()
def demo(
    out: Out = Path("overread-demo"),
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Training seeds of each model; H1 needs 3 to claim anything.")
    ] = 1,
) -> None:
    """Simulate five hospitals, train on three, test on two more, explain, report: the whole chain in minutes."""
    from overread.protocol.study_run import demo

    with shown() as progress:
        page = demo(out, seeds=seeds, progress=progress)
    put(f"Report: {page.resolve()}")


@app.command()
def run(
    protocol: Annotated[Path, typer.Argument(help="The TOML file that states the study.")],
    out: Out,
    data: Annotated[Path | None, typer.Option(help="The folder that the sources' roots are relative to.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE in place of the file's.")] = None,
    allow_outside: Outside = False,
    workers: Workers = None,
    verify: Verify = False,
) -> None:
    """Do a whole study from its protocol; what is there and unchanged is not done again."""
    from overread.protocol import remarks, run
    from overread.protocol.stage_folder import stamps

    _verified(verify, *stamps(out))
    changes = dict(_change(c) for c in change or [])
    with shown() as progress:
        page = run(
            protocol, out, data=data, workers=workers, changes=changes, allow_outside=allow_outside, progress=progress
        )
    for remark in remarks(out / "evaluation"):
        put(remark)
    put(f"Report: {page.resolve()}")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file, a protocol or configuration (.toml).")],
    table: Annotated[str, typer.Option(help="Which table it is; default: by its name or columns.")] = "",
    config: Config = None,
) -> None:
    """Check a table, protocol or configuration as the commands read it; say what each column is taken for."""
    from overread.evaluation import EvaluationConfig
    from overread.protocol import check, section

    words = _vocabulary(config)
    stated = (
        section(EvaluationConfig, _stated(config, "evaluation"), "evaluation", vocabulary=words) if config else None
    )
    for said in check(file, table, evaluation=stated):
        put(said)


@app.command()
def cohort(
    out: Out,
    root: Annotated[Path, typer.Option(help="The folder that the images' paths are relative to.")],
    images: Annotated[Path | None, typer.Option(help="The table of images.")] = None,
    labels: Annotated[Path | None, typer.Option(help="The table of labels.")] = None,
    regions: Annotated[Path | None, typer.Option(help="The table of regions.")] = None,
    reader: Annotated[str, typer.Option(help="Instead of tables: a known source, such as nih14.")] = "",
    external: Annotated[list[str] | None, typer.Option(help="A site that is test as a whole; may be repeated.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the stored pixels.")] = None,
    max_unreadable: Annotated[float | None, typer.Option(help="Share of images that may be absent or broken.")] = None,
    config: Config = None,
    workers: Workers = None,
    cluster: Annotated[str, typer.Option(help="Address of a Dask scheduler (tcp://host:8786), for --workers.")] = "",
    allow_outside: Outside = False,
) -> None:
    """Select images with an account of who was left out, split by patient, store the pixels."""
    import os

    from overread import datasets
    from overread.cohort import CohortConfig, build, summary
    from overread.protocol import cohort_tables, section

    stated = _stated(config, "cohort")
    if size is not None:
        stated["recipe"] = {**stated.get("recipe", {}), "size": size}
    if external:
        stated["external_sites"] = external
    if max_unreadable is not None:
        stated["max_unreadable"] = max_unreadable
    words = _vocabulary(config)
    chosen = section(CohortConfig, stated, "cohort", vocabulary=words)
    if reader:
        place = f"[options] of {config}" if config else "[options] of a TOML file, given as --config FILE"
        options = _stated(config, "options", alone=False)
        source = datasets.load(
            reader,
            root,
            options,
            where=place,
            allow_outside=allow_outside,
            cache=out / ".headers.parquet",
            vocabulary=words,
        )
    elif images is None or labels is None:
        found = "--images alone" if images else "--labels alone" if labels else "neither"
        raise InputError("cohort", "--images and --labels, or --reader", found)
    else:
        source, said = cohort_tables(images, labels, regions, allowed=chosen.missing_allowed, vocabulary=words)
        for remark in said:
            put(remark)
    if cluster and workers:
        raise InputError("cohort", "--workers or --cluster", "both", do="A cluster's workers are its own.")
    with shown() as progress:
        made = build(
            source,
            root,
            out,
            chosen,
            workers=cluster or workers or os.cpu_count() or 1,
            allow_outside=allow_outside,
            progress=progress,
        )
    for sentence in summary(made.flow):
        say(sentence)
    counts = made.images.group_by("site", "split").len().sort("site", "split")
    put(f"{out}: {made.images.height:,} images of {made.images['patient_id'].n_unique():,} patients")
    for site, split, count in counts.iter_rows():
        put(f"  {site:20} {split:6} {count:8,}")


@app.command()
def deidentify(
    source: Annotated[Path, typer.Argument(help="A folder of DICOM files; it is only read.")],
    out: Out,
    key: Annotated[Path, typer.Option(help="The file that holds the key; it stays at the hospital.")],
    new_key: Annotated[bool, typer.Option(help="Make the key first.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="A CSV of old and new numbers, if wanted.")] = None,
    config: Config = None,
    workers: Workers = None,
) -> None:
    """Take out of DICOM files what tells who the patient is; what cannot be checked is kept back and listed."""
    import os

    from overread.images import deidentification as package
    from overread.protocol import section

    package.check_places(source, out, key, mapping)
    if new_key:
        package.new_key(key)
    stated = section(package.Deidentification, _stated(config, "deidentification"), "deidentification")
    with line("de-identify") as progress:
        made = package.deidentify(
            source, out, key, stated, mapping=mapping, workers=workers or os.cpu_count() or 1, progress=progress
        )
    put(f"{made.clean:,} files are clean: {made.folder.resolve()}")
    put(
        f"{made.quarantined:,} were kept back, {made.other:,} are no DICOM, {made.copies:,} are copies: "
        f"{made.quarantine.resolve()} says why."
    )
    for note in made.notes:
        put(str(note))
    put(f"Text was blacked out in {made.blackened:,}. About one burned-in line in five is missed: look at a sample.")


@app.command()
def splits(
    cohort: Annotated[Path, typer.Argument(help="A cohort's folder.")],
    out: Out,
    config: Config = None,
    verify: Verify = False,
) -> None:
    """Write for every site the split that leaves it out: test as a whole, the others train and tune."""
    from overread.cohort import CohortConfig
    from overread.cohort.site_folds import write_splits
    from overread.protocol import section

    _verified(verify, cohort)
    words = _vocabulary(config, cohort)
    made = write_splits(cohort, out, section(CohortConfig, _stated(config, "cohort"), "cohort", vocabulary=words))
    for site, hashed in made.items():
        put(f"{site}: {hashed[:12]}")
    put(f"Splits, each a split_file for a cohort of its own: {out.resolve()}")


@app.command()
def sample(
    cohort: Annotated[Path, typer.Argument(help="A cohort's folder.")],
    out: Out,
    size: Annotated[int | None, typer.Option(help="Cases in all. Default: 2,000.")] = None,
    floor: Annotated[int | None, typer.Option(help="Cases of every stratum at least.")] = None,
    label_source: Annotated[str, typer.Option(help="Whose labels say which finding is present.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed of the draw.")] = None,
    config: Config = None,
    verify: Verify = False,
) -> None:
    """Draw a stratified random sample of cases for readers, weighed back to the population."""
    from overread.cohort.reader_samples import SampleConfig, draw
    from overread.protocol import section

    _verified(verify, cohort)
    given = {"n": size, "floor": floor, "label_source": label_source or None, "seed": seed}
    stated = _stated(config, "sample") | {k: v for k, v in given.items() if v is not None}
    made = draw(cohort, out, section(SampleConfig, stated, "sample"))
    for note in made.notes:
        put(note)
    put(f"Sample: {(out / 'images.parquet').resolve()}, hash {made.hash[:12]}")


@app.command()
def train(
    cohort: Annotated[Path, typer.Argument(help="A cohort's folder.")],
    out: Out,
    site: Annotated[list[str] | None, typer.Option(help="A site to learn from; may be repeated. Default: all.")] = None,
    network: Annotated[str, typer.Option(help="densenet121, densenet-small or timm:NAME.")] = "",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and augmentation.")] = None,
    max_images: Annotated[int | None, typer.Option(help="Training images at most, whole patients.")] = None,
    name: Annotated[str, typer.Option(help="What the model is called.")] = "model",
    config: Config = None,
    verify: Verify = False,
) -> None:
    """Train on the cohort's train split, choose the epoch on tune, freeze operating points and recalibration."""
    from overread.protocol import section
    from overread.training.model_training import train
    from overread.training.training_config import TrainingConfig

    _verified(verify, cohort)
    given = {"network": network or None, "epochs": epochs, "seed": seed}
    stated = _stated(config, "training") | {k: v for k, v in given.items() if v is not None}
    chosen = section(TrainingConfig, stated, "training", vocabulary=_vocabulary(config, cohort))
    with shown() as show:

        def told(done: int, total: int, line: str) -> None:
            show(f"train {name}", done, total)
            if line:
                say(line)

        train(cohort, out, chosen, sites=site, max_images=max_images, name=name, progress=told)
    put(f"Model: {out.resolve()}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    cohort: Annotated[Path, typer.Argument(help="A cohort's folder.")],
    out: Out,
    site: Annotated[list[str] | None, typer.Option(help="A site; may be repeated. Default: all.")] = None,
    heatmaps: Annotated[bool, typer.Option(help="Grad-CAM for every finding of every image.")] = True,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    verify: Verify = False,
) -> None:
    """Score every finding of every tune and test image with a frozen model, heat maps in the same pass."""
    from overread.training.scoring.cohort_scores import predict

    _verified(verify, model, cohort)
    with line("predict") as progress:
        predict(model, cohort, out, sites=site, heatmaps=heatmaps, batch_size=batch_size, progress=progress)
    put(f"Predictions: {(out / 'predictions.parquet').resolve()}")


@app.command()
def evaluate(
    images: Annotated[Path, typer.Option(help="Images: who the patient is, site, sex, age, view. Long or wide.")],
    labels: Annotated[list[str], typer.Option(help="FILE or SOURCE=FILE, long or wide (1, 0, -1); may be repeated.")],
    predictions: Annotated[list[Path], typer.Option(help="A model's scores, long or wide; may be repeated.")],
    out: Out,
    reads: Annotated[Path | None, typer.Option(help="Readers' answers, long, or wide with a read per row.")] = None,
    tune: Annotated[list[Path] | None, typer.Option(help="Scores of tuning cases, to fit thresholds on.")] = None,
    finding: Annotated[list[str] | None, typer.Option(help="A finding of the macro mean; may be repeated.")] = None,
    reference: Annotated[str, typer.Option(help="The label source that is the truth.")] = "",
    external: Annotated[list[str] | None, typer.Option(help="A site the models never saw; may be repeated.")] = None,
    subgroup: Annotated[list[str] | None, typer.Option(help="A column of the images; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of resampling and of the half that tunes.")] = None,
    title: Annotated[str, typer.Option(help="The title of the report.")] = "Evaluation of predictions",
    config: Config = None,
    workers: Workers = None,
    verify: Verify = False,
) -> None:
    """Evaluate anyone's predictions and report: AUCs, operating points, calibration, subgroups, comparisons."""
    import os

    from overread.evaluation import EvaluationConfig
    from overread.protocol import evaluate_files, remarks, section

    _verified(verify, out / "run.json", images, *(label.partition("=")[2] or label for label in labels), *predictions)
    given = {
        "findings": finding,
        "reference": reference or None,
        "external_sites": external,
        "subgroups": subgroup,
        "seed": seed,
    }
    stated = _stated(config, "evaluation") | {k: v for k, v in given.items() if v}
    with line("evaluate") as progress:
        page = evaluate_files(
            images,
            labels,
            predictions,
            out,
            section(EvaluationConfig, stated, "evaluation", vocabulary=_vocabulary(config)),
            tune=tune or (),
            reads=reads,
            title=title,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    for remark in remarks(out):
        put(remark)
    put(f"Report: {page.resolve()}")


@app.command()
def report(
    evaluation: Annotated[Path, typer.Argument(help="An evaluation's folder.")],
    out: Out,
    title: Annotated[str, typer.Option(help="The title of the report.")] = "Evaluation of predictions",
    cohort: Annotated[Path | None, typer.Option(help="The cohort's folder: participants, pixels.")] = None,
    heatmaps: Annotated[list[str] | None, typer.Option(help="MODEL=FOLDER of its predictions.")] = None,
    model: Annotated[list[Path] | None, typer.Option(help="A model's folder; may be repeated.")] = None,
    statements: Annotated[Path | None, typer.Option(help="TOML: what only authors know, for the checklists.")] = None,
    workers: Workers = None,
    verify: Verify = False,
) -> None:
    """Write the report of an evaluation: one HTML page; estimates, tables for Word and figures beside it."""
    import os

    from overread.protocol import report_folder
    from overread.reporting.figures.figure_pool import drawing_pool

    _verified(verify, evaluation, cohort, *(m.partition("=")[2] for m in heatmaps or []), *(model or []))
    maps = dict(_pair(h) for h in heatmaps or [])
    with drawing_pool(workers or os.cpu_count() or 1) as pool:
        page = report_folder(
            evaluation,
            out,
            title=title,
            cohort=cohort,
            heatmaps=maps,
            models=model or (),
            statements=statements,
            pool=pool,
        )
    put(f"Report: {page.resolve()}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A study, the folder of one command, or a folder that holds such.")],
) -> None:
    """Compare every file below a folder with the record of the run that wrote it; name what was altered."""
    from overread.protocol import verify

    found = verify(folder)
    for each in found:
        for sentence in each.sentences():
            put(sentence)
    altered = [each.folder for each in found if not each.unchanged]
    if altered:
        raise InputError(folder, "every file as it was written", f"differences in {len(altered)} folders")
    put("Everything is as it was written.")


@app.command()
def plan(
    auc: Annotated[float, typer.Option(help="The model's AUC as expected.")] = 0.85,
    auc_width: Annotated[float, typer.Option(help="Width of its interval, from limit to limit.")] = 0.10,
    auc_least: Annotated[float, typer.Option(help="The AUC that it must be told from.")] = 0.75,
    auc_other: Annotated[float, typer.Option(help="Another model's AUC on the same cases.")] = 0.80,
    auc_correlation: Annotated[float, typer.Option(help="Correlation of the two estimates.")] = 0.5,
    sensitivity: Annotated[float, typer.Option(help="As expected, at the frozen threshold.")] = 0.90,
    specificity: Annotated[float, typer.Option(help="As expected, at the frozen threshold.")] = 0.90,
    half_width: Annotated[float, typer.Option(help="Of the intervals of sensitivity and specificity.")] = 0.05,
    sensitivity_gain: Annotated[float, typer.Option(help="Of one rater over another, same cases.")] = 0.07,
    discordant: Annotated[float, typer.Option(help="Share of present cases that the two call differently.")] = 0.17,
    prevalence: Annotated[float, typer.Option(help="Of the finding among the cases.")] = 0.10,
    images_per_patient: Annotated[float, typer.Option(help="Mean number; 1 = one of each.")] = 1.0,
    image_correlation: Annotated[float, typer.Option(help="Of results on images of one patient.")] = 0.5,
    readers: Annotated[int, typer.Option(help="Readers in two arms.")] = 10,
    reader_auc: Annotated[float, typer.Option(help="Mean reader's AUC without aid.")] = 0.80,
    reader_gain: Annotated[float, typer.Option(help="Gain in AUC of the other arm.")] = 0.06,
    reader_range: Annotated[float, typer.Option(help="AUC of the best minus that of the worst reader.")] = 0.06,
    reader_repeat: Annotated[float, typer.Option(help="Difference of a reader's two readings.")] = 0.02,
    reader_correlation: Annotated[float, typer.Option(help="Of a reader's arms, from sharing the cases.")] = 0.47,
    present_share: Annotated[float, typer.Option(help="Of present cases among those read.")] = 0.5,
    power: Annotated[float, typer.Option(help="The chance to find what is expected.")] = 0.80,
    confidence: Annotated[float, typer.Option(help="Of intervals; tests are two-sided at 1 less it.")] = 0.95,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="NAME.csv, or a folder for plan.csv, .txt.")] = None,
) -> None:
    """Say how many patients, cases and readers a study needs, with the sentences for its protocol."""
    expected = dict(locals())
    where = expected.pop("out")
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
