"""Google's expert labels of ChestX-ray14: 4,376 images of 1,695 patients.

Four findings by adjudicating panels: Majkowska et al. 2020, doi:10.1148/radiol.2019191293. Fourteen findings by five
radiologists: Nabulsi et al. 2021, doi:10.1038/s41598-021-93967-2. The images belong to ChestX-ray14; this module reads
the radiologists' labels and reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets import nih14
from overread.datasets.fields import label_layouts
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables import Source

ABOUT = source_tables.About(
    title="Expert labels of ChestX-ray14 (Google)",
    citation="Majkowska et al. 2020, Chest radiograph interpretation with deep learning models",
    doi="10.1148/radiol.2019191293",
    url="https://cloud.google.com/healthcare-api/docs/resources/public-datasets/nih-chest",
    licence="research and educational purposes only",
    terms="the images are NIH's: pooled with ChestX-ray14 under other ids they would leak",
    marks=("individual_readers.csv*", "four_findings_expert_labels*", "all_findings_expert_labels*"),
    images=4_376,
    patients=1_695,
)
_FOUR, _ALL = "four_findings_expert_labels", "all_findings_expert_labels"
_STATES = {"YES": "present", "NO": "absent", "HEDGE": "uncertain"}
# "Abnormal" is any potentially actionable finding; the vocabulary has its complement, no_finding.
_NORMAL = {"YES": "NO", "1": "NO", "NO": "YES", "0": "YES"}
_KEYS = ("Image ID", "Reader ID")
_OTHER = (*nih14.COLUMNS, *_KEYS, "Set ID", "Set Id", "y]")


def read(root: Path, *, nih: str = "", site: str = "nih", vocabulary: Vocabulary | None = None) -> Source:
    """Read Google's labels and reads, optionally with all of ChestX-ray14.

    Parameters
    ----------
    root : Path
        Folder with four_findings_expert_labels/ and optionally all_findings_expert_labels/. The three files of the
        former may also lie in `root`, under their long names or as test_labels.csv, validation_labels.csv and
        individual_readers.csv; .gz is accepted.
    nih : str
        Folder of ChestX-ray14, relative to `root`: its images, labels and boxes are added. "" = only the images that
        Google labelled, below images/.
    site : str
        Name of the institution, written to the column `site`.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images with `google_split` (test, val); labels of source "adjudicated" (four findings, answer of the panel
        after discussion) and "majority_of_three" (fourteen findings); reads of the individual radiologists (arm
        "unaided").

    Raises
    ------
    InputError
        Files are missing, an answer is not YES, NO or HEDGE, or the ChestX-ray14 folder lacks an image.

    Notes
    -----
    HEDGE is uncertain. A repeated read of an image by one reader has the next `round`, in the order of the file. For
    the fourteen findings the same five radiologists read each of 810 test images. "majority_of_three" was derived from
    the reads of readers 4343882785, 4343883593 and 4343883996, so that only the other two readers are independent of
    this reference standard. "Abnormal" is the complement of no_finding; "Other" has no equivalent in the vocabulary
    and is counted in a note.

    References
    ----------
    Majkowska et al. 2020, doi:10.1148/radiol.2019191293. Nabulsi et al. 2021, doi:10.1038/s41598-021-93967-2.
    """
    root = Path(root)
    parts = [
        source_tables.table(root, _places(_FOUR, name), (*nih14.COLUMNS, "Set Id"), ABOUT)
        for name in ("test_labels.csv", "validation_labels.csv")
    ]
    table = pl.concat([frame for _, frame in parts], how="diagonal")
    words = vocabulary or load_vocabulary()
    label_parts = [
        _answers(table, "Image Index", parts[0][0], "four_findings", words).with_columns(source=pl.lit("adjudicated"))
    ]
    reads = [
        _reads(
            *source_tables.table(root, _places(_FOUR, "individual_readers.csv"), _KEYS, ABOUT), "four_findings", words
        )
    ]
    notes: tuple[str, ...] = ()
    if source_tables.found(root, _places(_ALL, "test_individual_readers.csv")) is not None:
        notes = _with_all(root, label_parts, reads, words)
    labels = pl.concat(label_parts).drop("_line")
    source = _images(root, nih, site, table, parts[0][0], words)
    all_labels = tables.check(
        pl.concat([source.labels, labels.select(source.labels.columns)], how="vertical_relaxed"),
        "labels",
        vocabulary=words,
    )
    return replace(
        source,
        labels=all_labels,
        reads=_known(pl.concat(reads), source.images, root, words),
        notes=source.notes + notes,
    )


def _places(part: str, name: str) -> Sequence[str]:
    """Possible paths of a file of one of the two parts; a bare name in the root belongs to the four findings."""
    return (*((name,) if part == _FOUR else ()), f"{part}_{name}", f"{part}/{part}_{name}", f"{part}/{name}")


def _with_all(root: Path, said: list[pl.DataFrame], reads: list[pl.DataFrame], words: Vocabulary) -> tuple[str, ...]:
    """Append labels and reads of the fourteen findings; returns the note on words that the vocabulary lacks."""
    path, rows = source_tables.table(root, _places(_ALL, "test_individual_readers.csv"), (*_KEYS, "Abnormal"), ABOUT)
    reads.append(_reads(path, _normal(rows, path), "nih14", words))
    if source_tables.found(root, _places(_ALL, "test_labels.csv")) is not None:
        file, table = source_tables.table(root, _places(_ALL, "test_labels.csv"), ("Image ID", "Abnormal"), ABOUT)
        answers = _answers(_normal(table, file), "Image ID", file, "nih14", words)
        said.append(answers.with_columns(source=pl.lit("majority_of_three")))
    other = rows.filter(pl.col("Other") == "YES").height if "Other" in rows.columns else 0
    return (f"{other:,} reads name an abnormality outside the fourteen findings, which is not in the vocabulary",)


def _normal(rows: pl.DataFrame, where: Path) -> pl.DataFrame:
    strange = rows.filter(~pl.col("Abnormal").is_in(list(_NORMAL)).fill_null(False))["Abnormal"].unique().sort()
    if len(strange):
        examples = [s or "(empty)" for s in strange]
        raise InputError(where, f"in Abnormal {', '.join(_NORMAL)}", "others", examples=examples)
    findings = rows.drop("Abnormal", "Other", strict=False)
    return findings.with_columns(rows["Abnormal"].replace_strict(_NORMAL).alias("No Finding"))


def _images(root: Path, nih: str, site: str, table: pl.DataFrame, file: Path, words: Vocabulary) -> Source:
    """Images with `google_split`: those that Google labelled, or all of ChestX-ray14 with its own labels."""
    split = table.select(image_id="Image Index", google_split="Set Id")
    if not nih:
        images = nih14.images_of(nih14.renamed(table), root, file, site).with_columns(dataset=pl.lit("google_nih"))
        images = images.join(split, on="image_id", how="left", maintain_order="left")
        return Source(images, tables.empty("labels"), notes=source_tables.counts_note(images, ABOUT))
    source = nih14.read(root / nih, site=site, vocabulary=words)
    missing_images = split.join(source.images, on="image_id", how="anti")["image_id"].sort()
    if len(missing_images):
        raise InputError(
            root / nih, "the images that Google labelled", f"{len(missing_images):,} missing", examples=missing_images
        )
    images = source.images.with_columns(path=pl.format("{}/{}", pl.lit(nih.rstrip("/")), "path"))
    return replace(source, images=images.join(split, on="image_id", how="left", maintain_order="left"))


def _answers(table: pl.DataFrame, key: str, where: Path, source: str, words: Vocabulary) -> pl.DataFrame:
    """case_id, finding, state and line of every answer; the columns are findings by their synonyms."""
    columns = [c for c in table.columns if c not in _OTHER]
    names = label_layouts.resolved(columns, source, where, words)
    long = table.with_row_index("_line").unpivot(
        columns, index=["_line", key], variable_name="finding", value_name="word"
    )
    long = long.filter(pl.col("word").is_not_null())
    strange = long.filter(~pl.col("word").is_in(list(_STATES)))["word"].unique().sort()
    if len(strange):
        raise InputError(where, f"answers {', '.join(_STATES)}", "others", examples=strange)
    return long.select(
        pl.col(key).alias("case_id"),
        pl.col("finding").replace_strict(names),
        pl.col("word").replace_strict(_STATES).alias("state"),
        "_line",
    )


def _reads(path: Path, table: pl.DataFrame, source: str, words: Vocabulary) -> pl.DataFrame:
    """The table of reads; a second line of one reader on one image is round 2."""
    answers = _answers(table, "Image ID", path, source, words)
    line = table.with_row_index("_line").select(
        "_line", reader="Reader ID", round=pl.int_range(1, pl.len() + 1).over("Reader ID", "Image ID").cast(pl.Int32)
    )
    reads = answers.join(line, on="_line", maintain_order="left").rename({"state": "call"}).drop("_line")
    return tables.check(reads.with_columns(arm=pl.lit("unaided")), "reads", where=path, vocabulary=words)


def _known(reads: pl.DataFrame, images: pl.DataFrame, root: Path, words: Vocabulary) -> pl.DataFrame:
    orphans = reads.join(images, on="case_id", how="anti")["case_id"].unique().sort()
    if len(orphans):
        raise InputError(root, "reads of images that are labelled", f"{len(orphans):,} others", examples=orphans)
    return tables.check(reads, "reads", where=root, vocabulary=words)
