"""Commands that make or change a data set: `cohort`, `splits`, `sample` and `deidentify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from overread.cli.arguments import configuration, stated, verified, vocabulary
from overread.cli.options import Changes, Config, ExtraFindings, Out, Outside, Verify, Workers, processes
from overread.cli.terminal import line, put, say, shown
from overread.errors import InputError

if TYPE_CHECKING:
    from overread.cohort import CohortConfig
    from overread.findings import Vocabulary


def cohort(
    out: Out,
    root: Annotated[Path, typer.Option(help="The folder that the images' paths are relative to.")],
    images: Annotated[Path | None, typer.Option(help="The table of images.")] = None,
    labels: Annotated[Path | None, typer.Option(help="The table of labels.")] = None,
    regions: Annotated[Path | None, typer.Option(help="The table of regions.")] = None,
    reader: Annotated[str, typer.Option(help="In place of tables: a known source, such as nih14.")] = "",
    external: Annotated[
        list[str] | None, typer.Option(metavar="SITE", help="A site that is used for testing only; may be repeated.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Width and height of the stored images, in pixels.")] = None,
    max_unreadable: Annotated[
        float | None, typer.Option(help="Share of images that may be missing or unreadable.")
    ] = None,
    extra_findings: ExtraFindings = None,
    config: Config = None,
    changes: Changes = None,
    workers: Workers = None,
    cluster: Annotated[
        str, typer.Option(help="Address of a Dask scheduler (tcp://host:8786), in place of --workers.")
    ] = "",
    allow_outside: Outside = False,
) -> None:
    """Select images, report who was left out and why, split by patient, and store the pixels."""
    from overread import findings
    from overread.cohort import CohortConfig, build, summary

    given = {"size": size, "external": external or None, "max_unreadable": max_unreadable}
    words = findings.with_extra_findings(vocabulary(config), extra_findings or ())
    chosen = configuration(CohortConfig, "cohort", config, changes, given, words=words)
    if reader:
        source = _known_source(reader, root, config, out, allow_outside=allow_outside, vocabulary=chosen.vocabulary)
    elif images is None or labels is None:
        found = "--images alone" if images else "--labels alone" if labels else "neither"
        raise InputError("cohort", "--images and --labels, or --reader", found)
    else:
        source = _tables_source(images, labels, regions, chosen)
    if cluster and workers:
        raise InputError("cohort", "--workers or --cluster", "both", do="A cluster's workers are its own.")
    with shown() as progress:
        made = build(
            source,
            root,
            out,
            chosen,
            workers=cluster or processes(workers),
            allow_outside=allow_outside,
            progress=progress,
        )
    for sentence in summary(made.flow):
        say(sentence)
    counts = made.images.group_by("site", "split").len().sort("site", "split")
    put(f"{out}: {made.images.height:,} images of {made.images['patient_id'].n_unique():,} patients")
    for site, split, count in counts.iter_rows():
        put(f"  {site:20} {split:6} {count:8,}")


def _known_source(
    reader: str, root: Path, config: Path | None, out: Path, *, allow_outside: bool, vocabulary: Vocabulary
) -> Any:
    """The tables of a known source, read with the section [options] of the configuration file."""
    from overread import datasets

    where = f"[options] of {config}" if config else "[options] of a TOML file, given as --config FILE"
    options = stated(config, "options", alone=False)
    return datasets.load(
        reader,
        root,
        options,
        where=where,
        allow_outside=allow_outside,
        cache=out / ".headers.parquet",
        vocabulary=vocabulary,
    )


def _tables_source(images: Path, labels: Path, regions: Path | None, chosen: CohortConfig) -> Any:
    """The source in tables of the user; what was noticed while they were read is printed."""
    from overread.protocol import cohort_tables

    source, remarks = cohort_tables(
        images, labels, regions, allowed=chosen.missing_allowed, vocabulary=chosen.vocabulary
    )
    for remark in remarks:
        put(remark)
    return source


def splits(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="The folder of a cohort.")],
    out: Out,
    config: Config = None,
    changes: Changes = None,
    verify: Verify = False,
) -> None:
    """Write one split per site: this site is the test set, the other sites are for training and tuning."""
    from overread.cohort import CohortConfig
    from overread.cohort.site_folds import splits

    verified(verify, cohort)
    words = vocabulary(config, cohort)
    made = splits(cohort, out, configuration(CohortConfig, "cohort", config, changes, words=words))
    for site, hashed in made.items():
        put(f"{site}: {hashed[:12]}")
    put(f"Splits, each to be used as the split_file of a cohort: {out.resolve()}")


def sample(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="The folder of a cohort.")],
    out: Out,
    size: Annotated[int | None, typer.Option(help="Number of cases. Default: 2,000.")] = None,
    floor: Annotated[int | None, typer.Option(help="Smallest number of cases in each stratum.")] = None,
    label_source: Annotated[str, typer.Option(help="The label source that states which finding is present.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed of the random sample.")] = None,
    config: Config = None,
    changes: Changes = None,
    verify: Verify = False,
) -> None:
    """Draw a stratified random sample of cases for readers, with sampling weights."""
    from overread.cohort.reader_samples import SampleConfig, sample

    verified(verify, cohort)
    given = {"size": size, "floor": floor, "label_source": label_source or None, "seed": seed}
    words = vocabulary(config, cohort)
    made = sample(cohort, out, configuration(SampleConfig, "sample", config, changes, given, words=words))
    for note in made.notes:
        put(note)
    put(f"Sample: {(out / 'images.parquet').resolve()}, hash {made.hash[:12]}")


def deidentify(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder of DICOM files; it is only read.")],
    out: Out,
    key: Annotated[Path, typer.Option(help="The file with the secret key; it stays at the hospital.")],
    new_key: Annotated[bool, typer.Option(help="Create the key first.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="Also write a CSV of old and new identifiers.")] = None,
    config: Config = None,
    changes: Changes = None,
    workers: Workers = None,
) -> None:
    """Remove what identifies the patient from DICOM files; quarantine and list files that cannot be checked."""
    from overread.images import deidentification as package

    package.check_places(source, out, key, mapping)
    if new_key:
        package.new_key(key)
    chosen = configuration(package.Deidentification, "deidentification", config, changes)
    with line("de-identify") as progress:
        made = package.deidentify(
            source, out, key, chosen, mapping=mapping, workers=processes(workers), progress=progress
        )
    put(f"{made.clean:,} files are clean: {made.folder.resolve()}")
    put(
        f"{made.quarantined:,} were quarantined, {made.other:,} are not DICOM, {made.copies:,} are copies: "
        f"see {made.quarantine.resolve()}."
    )
    for note in made.notes:
        put(str(note))
    put(
        f"Text was blacked out in {made.blackened:,} files. "
        "About one line of burned-in text in five is missed: check a sample."
    )
