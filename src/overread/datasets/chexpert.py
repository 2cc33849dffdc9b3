"""CheXpert: 224,316 radiographs of 65,240 patients with 14 observations.

The folder layout is that of the Stanford release. Reference: Irvin et al. 2019, doi:10.1609/aaai.v33i01.3301590.
Training labels were mined from reports and include "uncertain"; validation and test labels are a consensus of
radiologists. CheXpert Plus (Chambon et al. 2024, arXiv:2405.19538) adds demographics and reports.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import polars as pl

from overread import limits, regular, tables
from overread.datasets.fields import label_layouts, normalise
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.images import file_tree
from overread.tables import Source
from overread.tables.records.typed_files import json_value

ABOUT = source_tables.About(
    title="CheXpert",
    citation="Irvin et al. 2019, CheXpert",
    doi="10.1609/aaai.v33i01.3301590",
    url="https://stanfordmlgroup.github.io/competitions/chexpert/",
    licence="Stanford University Dataset Research Use Agreement",
    terms="non-commercial research; no attempt to identify anyone; not to be passed on",
    marks=("CheXpert*", "train_cheXbert.csv*"),
    images=224_316,
    patients=65_240,
)
_PUBLISHED = {"train": (223_414, 64_540), "valid": (234, 200), "test": (668, 500)}
_TABLES = {
    "train": ("train.csv",),
    "valid": ("valid.csv", "val_labels.csv"),
    "test": ("test_labels.csv", "groundtruth.csv", "test.csv"),
}
# Files with training labels by other programs: of CheXpert, and of CheXpert Plus.
_PROGRAMS = {"chexbert": "train_cheXbert.csv", "visual_chexbert": "train_visualCheXbert.csv"}
_SECTIONS = {
    "chexbert_impression": "impression_fixed.json",
    "chexbert_findings": "findings_fixed.json",
    "chexbert_report": "report_fixed.json",
}
_OBSERVATIONS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
_WHO = ("Sex", "Age", "Frontal/Lateral", "AP/PA")
PLUS = (
    "race",
    "ethnicity",
    "interpreter_needed",
    "insurance_type",
    "recent_bmi",
    "deceased",
    "patient_report_date_order",
    "path_to_dcm",
)


def read(root: Path, *, site: str = "stanford", reports: bool = False, vocabulary: Vocabulary | None = None) -> Source:
    """Read CheXpert in full size, small size or in batches.

    Parameters
    ----------
    root : Path
        Folder with train.csv and valid.csv, or its parent. Optional files: tables of the test set (test_labels.csv,
        groundtruth.csv), labels of other programs (train_cheXbert.csv, train_visualCheXbert.csv) and CheXpert Plus
        (df_chexpert_plus_240401.csv, chexbert_labels/).
    site : str
        Name of the institution, written to the column `site`.
    reports : bool
        Whether the reports of CheXpert Plus and their sections are added as columns; they are long.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images with `official_split` (train, tune = valid, test) and labels. Label sources: "report_text" for the
        training set and "radiologists" for validation and test; "chexbert", "visual_chexbert", "chexbert_impression",
        "chexbert_findings" and "chexbert_report" where their files are present.

    Raises
    ------
    InputError
        The folder is missing or holds another set or two copies of this set, columns differ from the published tables,
        or a label is not 1, 0, -1 or empty.

    Notes
    -----
    A case is a study: its images share its labels. -1 is uncertain; an empty cell is not stated. A frontal image whose
    AP/PA is neither AP nor PA has view UNKNOWN and is noted. Age 0 means "unknown" in this set of adults; it becomes
    null and is noted. Age 90 means 90 or older. Race, ethnicity, insurance and further columns of CheXpert Plus are
    added to the images.

    References
    ----------
    Irvin et al. 2019, doi:10.1609/aaai.v33i01.3301590.
    """
    root = Path(root)
    places = _places(root)
    split_tables = [part for split in _TABLES for place in places if (part := _part(place, split)) is not None]
    if not split_tables:
        source_tables.table(root, ["train.csv"], (), ABOUT)  # raises InputError
    _one_copy(split_tables, root)
    patient_folders = folders_of(places)
    images, labels = [], []
    notes: list[str] = []
    for split, path, rows in split_tables:
        images_of_split = images_of(rows, path, patient_folders, root, path.parent / split).with_columns(
            site=pl.lit(site), official_split=pl.lit(split.replace("valid", "tune"))
        )
        labels.append(_labels(rows, path, "report_text" if split == "train" else "radiologists", vocabulary))
        images.append(images_of_split)
        n, patients = _PUBLISHED[split]
        notes += source_tables.counts_note(
            images_of_split, replace(ABOUT, title=f"CheXpert, {split}", images=n, patients=patients)
        )
    all_images: pl.DataFrame = tables.check(pl.concat(images, how="diagonal"), "images", where=root)
    further_labels, label_notes = further(places, all_images, vocabulary)
    all_images, plus_notes = with_plus(all_images, places, reports)
    stated_labels = tables.check(pl.concat([*labels, *further_labels]), "labels", where=root, vocabulary=vocabulary)
    return Source(all_images, stated_labels, notes=(*notes, *label_notes, *plus_notes))


def _one_copy(found: list[tuple[str, Path, pl.DataFrame]], root: Path) -> None:
    splits = [split for split, _, _ in found]
    repeated_tables = [path for split, path, _ in found if splits.count(split) > 1]
    if repeated_tables:
        raise InputError(
            root,
            "one copy of CheXpert",
            f"{len(repeated_tables)} tables of the same images",
            examples=[p.relative_to(root) for p in repeated_tables],
            do="Give the folder of one of them.",
        )


def _places(root: Path) -> list[Path]:
    """The root and those of its subfolders that may hold parts of the set."""
    root = file_tree.folder(root)
    return [root, *sorted(p for p in root.glob("CheXpert*") if p.is_dir())]


def _part(place: Path, split: str) -> tuple[str, Path, pl.DataFrame] | None:
    path = source_tables.found(place, _TABLES[split])
    if path is None:
        return None
    rows = label_layouts.as_text(tables.frame_of(path))
    if "Study" in rows.columns and "Path" not in rows.columns:  # the test's ground truth is by study
        rows = rows.rename({"Study": "Path"})
    source_tables.check_columns(rows, path, _columns(path), ABOUT)
    return split, path, with_case(rows, path)


def _columns(path: Path) -> tuple[str, ...]:
    """Columns that a table must have; the tables of the test set and of CheXlocalize have no demographics."""
    has_demographics = path.name.startswith(("train", "valid"))
    return ("Path", *_WHO, *_OBSERVATIONS) if has_demographics else ("Path", *_OBSERVATIONS[1:])


def with_case(rows: pl.DataFrame, path: Path, column: str = "Path") -> pl.DataFrame:
    """Add case_id: the study in the path in `column`."""
    rows = rows.with_columns(case_id=pl.col(column).str.extract(r"(patient\d+/study\d+)"))
    odd = rows.filter(pl.col("case_id").is_null())[column]
    if len(odd):
        expected = "paths with patientN/studyN"
        raise InputError(path, expected, f"{len(odd):,} others", examples=[str(o) for o in odd.head(5)])
    return rows


def _labels(rows: pl.DataFrame, path: Path, source: str, vocabulary: Vocabulary | None) -> pl.DataFrame:
    columns = [c for c in _OBSERVATIONS if c in rows.columns]
    spec = {"form": "wide", "columns": columns, "vocabulary": "chexpert", "source": source}
    return label_layouts.labels(rows, spec, path.parent, path, vocabulary=vocabulary)


def further(
    places: list[Path], images: pl.DataFrame, vocabulary: Vocabulary | None
) -> tuple[list[pl.DataFrame], tuple[str, ...]]:
    """Labels of other programs, one source each, and a note that counts their studies without image."""
    labels_by_program = []
    for place in places:
        for source, name in _PROGRAMS.items():
            if (path := source_tables.found(place, [name])) is not None:
                rows = label_layouts.as_text(tables.frame_of(path))
                source_tables.check_columns(rows, path, _columns(path), ABOUT)
                labels_by_program.append(_labels(with_case(rows, path), path, source, vocabulary))
        for source, name in _SECTIONS.items():
            if (path := source_tables.found(place, [f"chexbert_labels/{name}", name])) is not None:
                rows = _lines(path)
                source_tables.check_columns(rows, path, ("path_to_image", *_OBSERVATIONS), ABOUT)
                labels_by_program.append(_labels(with_case(rows, path, "path_to_image"), path, source, vocabulary))
    cases = images.select("case_id").unique()
    labels_with_image = [m.join(cases, on="case_id", how="semi") for m in labels_by_program]
    orphan_counts = [m.join(cases, on="case_id", how="anti")["case_id"].n_unique() for m in labels_by_program]
    notes = tuple(
        f"labels by {m['source'][0]} of {n:,} studies without image"
        for m, n in zip(labels_by_program, orphan_counts, strict=True)
        if n
    )
    return labels_with_image, notes


def _lines(path: Path) -> pl.DataFrame:
    """Read a file with one JSON object per line as a table of text."""
    try:
        lines = regular.content(path, most=limits.TEXT_BYTES).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(path, "a JSON object in every line, in UTF-8", "bytes that are not") from error
    rows = [json_value(line, f"{path}, line {n:,}") for n, line in enumerate(lines, 1) if line.strip()]
    if odd := [row for row in rows if not isinstance(row, dict)]:
        raise InputError(path, "a JSON object in every line", f"{len(odd):,} others", examples=[str(o) for o in odd])
    if any(isinstance(v, dict | list) for row in rows for v in row.values()):
        raise InputError(path, "a text or number for every key", "lists or objects")
    text = [
        {k: None if v is None else str(int(v) if isinstance(v, bool) else v) for k, v in row.items()} for row in rows
    ]
    return pl.DataFrame(text, schema=dict.fromkeys((k for row in text for k in row), pl.String))


def folders_of(places: list[Path]) -> dict[str, Path]:
    """Folder that holds each patient's folder: train/, valid/, test/ or that of a batch."""
    folder_by_patient: dict[str, Path] = {}
    for place in places:
        for folder in (place / "test", place / "val", place / "valid", place / "train", place):
            if folder.is_dir():
                folder_by_patient |= {e.name: folder for e in os.scandir(folder) if e.name.startswith("patient")}
    return folder_by_patient


def images_of(rows: pl.DataFrame, path: Path, where: dict[str, Path], root: Path, absent: Path) -> pl.DataFrame:
    """The table of images of one file, without the column site.

    `where` maps each patient to the folder that holds it; `absent` is the folder for patients that are not in it.
    """
    rows = _by_image(rows, where)
    patient = pl.col("case_id").str.extract(r"(patient\d+)")
    inner = pl.col("Path").str.extract(r"(patient\d+/.*)$")
    folders = {p: f.relative_to(root).as_posix() for p, f in where.items()}
    absent_folder = absent.relative_to(root).as_posix()
    frontal = pl.col("Frontal/Lateral").fill_null("").str.to_lowercase()
    side = pl.when(frontal == "lateral").then(pl.lit("LATERAL")).otherwise(pl.col("AP/PA"))
    frame = rows.select(
        inner.str.replace(r"\.(jpg|png)$", "").alias("image_id"),
        "case_id",
        patient.alias("patient_id"),
        dataset=pl.lit("chexpert"),
        sex="Sex",
        age_years="Age",
        view=side,
        path=pl.format("{}/{}", patient.replace_strict(folders, default=absent_folder), inner).str.strip_prefix("./"),
        _assumed="_assumed",
    )
    assumed = pl.when(pl.col("_assumed")).then(pl.lit("the folder of the study is missing: one frontal image assumed"))
    frame = _views(normalise.noted(frame, assumed).drop("_assumed"))
    frame, sex_problems = normalise.sexes(frame, path)
    frame, age_problems = normalise.ages(frame, path)
    if sex_problems or age_problems:
        raise InputError.all([*sex_problems, *age_problems])
    is_zero = pl.col("age_years") == 0
    frame = normalise.noted(frame, pl.when(is_zero).then(pl.lit("age 0 among adults: not stated")))
    return frame.with_columns(age_years=pl.when(~is_zero).then("age_years"))


def _by_image(rows: pl.DataFrame, where: dict[str, Path]) -> pl.DataFrame:
    """One row per image, also where the table is by study: the images are then the files in the study's folder."""
    rows = rows.with_columns(pl.lit(None, pl.String).alias(c) for c in _WHO if c not in rows.columns)
    if rows["Path"].str.contains(r"\.(?:jpg|png)$").all():
        side_in_name = (
            pl.when(pl.col("Path").str.contains("lateral")).then(pl.lit("Lateral")).otherwise(pl.lit("Frontal"))
        )
        return rows.with_columns(pl.col("Frontal/Lateral").fill_null(side_in_name), _assumed=pl.lit(False))
    image_rows = []
    for row in rows.iter_rows(named=True):
        patient, study = row["case_id"].split("/")
        folder = where.get(patient, Path("/nonexistent")) / patient / study
        names = sorted(p.name for p in folder.glob("*.jpg")) if folder.is_dir() else ["view1_frontal.jpg"]
        side = {n: "Lateral" if "lateral" in n else "Frontal" for n in names}
        known = {"_assumed": not folder.is_dir()}
        image_rows += [row | known | {"Path": f"{row['case_id']}/{n}", "Frontal/Lateral": side[n]} for n in names]
    return pl.DataFrame(image_rows, schema=rows.schema | {"_assumed": pl.Boolean})


def _views(frame: pl.DataFrame) -> pl.DataFrame:
    word = pl.col("view").fill_null("")
    strange = ~word.is_in(["AP", "PA", "LATERAL", ""])
    note = pl.when(strange).then(pl.format("a frontal image whose AP/PA is '{}': UNKNOWN", word))
    known = pl.when(word.is_in(["AP", "PA", "LATERAL"])).then(word).otherwise(pl.lit("UNKNOWN"))
    return normalise.noted(frame, note).with_columns(view=known)


def with_plus(images: pl.DataFrame, places: list[Path], reports: bool) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Add demographics from the table of CheXpert Plus where it is present, and note the images that it lacks."""
    path = next(
        (p for place in places if (p := source_tables.found(place, ["df_chexpert_plus_*.csv"])) is not None), None
    )
    if path is None:
        return images, ()
    rows = label_layouts.as_text(tables.frame_of(path))
    source_tables.check_columns(rows, path, ("path_to_image", *PLUS), ABOUT)
    demographics = told_by(rows, path, reports)
    n_missing = images.join(demographics, on="image_id", how="anti").height
    note = (f"CheXpert Plus has no demographics of {n_missing:,} images",) if n_missing else ()
    return images.join(demographics, on="image_id", how="left", maintain_order="left"), note


def told_by(rows: pl.DataFrame, path: Path, reports: bool) -> pl.DataFrame:
    """Columns of the table of CheXpert Plus for every image; `reports` adds the report and its sections."""
    text = [c for c in rows.columns if c == "report" or c.startswith("section_")] if reports else []
    key = pl.col("path_to_image").str.extract(r"(patient\d+/.*)\.\w+$").alias("image_id")
    demographics = rows.select(key, *PLUS, *text).unique()
    repeated_images = demographics.filter(pl.col("image_id").is_duplicated())["image_id"].unique().sort()
    if len(repeated_images):
        raise InputError(
            path, "one row per image", f"{len(repeated_images):,} images with several", examples=repeated_images
        )
    return demographics
