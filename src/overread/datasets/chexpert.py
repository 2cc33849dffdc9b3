"""CheXpert, the folder as Stanford ships it: 224,316 radiographs of 65,240 patients, 14 observations.

Irvin et al. 2019, doi:10.1609/aaai.v33i01.3301590. Labels of train were mined from reports and know "uncertain"; those
of valid and test are radiologists' consensus. CheXpert Plus (Chambon et al. 2024, arXiv:2405.19538) adds who the
patients are, and the reports.
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
# Labels of train by programs other than the first one, in files beside: of CheXpert, and of CheXpert Plus.
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
    """Read CheXpert (full size, small, or in batches) from the folder in which it was unpacked, or the one above.

    Parameters
    ----------
    root: folder with train.csv and valid.csv, and where they are there the tables of the test set (test_labels.csv,
        groundtruth.csv), of further programs (train_cheXbert.csv, train_visualCheXbert.csv) and of CheXpert Plus
        (df_chexpert_plus_240401.csv, chexbert_labels/).
    site: what the tables call the institution.
    reports: take the report of CheXpert Plus and its sections as columns too: they are long.

    Returns a Source. A study is a case: its images share its labels. `official_split` is train, tune (valid) or test.
    Labels of train are of source "report_text", those of valid and test of source "radiologists"; an empty cell is not
    stated, -1 is uncertain. Further programs are sources of their own: "chexbert", "visual_chexbert", and of CheXpert
    Plus "chexbert_impression", "chexbert_findings", "chexbert_report" by the part of the report that was read. An image
    whose AP/PA is neither is UNKNOWN and noted. Age 0, which stands for "not known" in this set of adults, becomes null
    and is noted; 90 is 90 or older. Race, ethnicity, insurance and the like of CheXpert Plus are columns of the images.

    Raises InputError: no such folder, another set's, two copies of the set, columns that changed, labels other than 1,
    0, -1 or empty.
    """
    root = Path(root)
    places = _places(root)
    found = [part for split in _TABLES for place in places if (part := _part(place, split)) is not None]
    if not found:
        source_tables.table(root, ["train.csv"], (), ABOUT)  # says what stands there instead
    _one_copy(found, root)
    where = folders_of(places)
    images, labels = [], []
    notes: list[str] = []
    for split, path, rows in found:
        made = images_of(rows, path, where, root, path.parent / split).with_columns(
            site=pl.lit(site), official_split=pl.lit(split.replace("valid", "tune"))
        )
        labels.append(_labels(rows, path, "report_text" if split == "train" else "radiologists", vocabulary))
        images.append(made)
        n, patients = _PUBLISHED[split]
        notes += source_tables.counts_note(
            made, replace(ABOUT, title=f"CheXpert, {split}", images=n, patients=patients)
        )
    whole = tables.check(pl.concat(images, how="diagonal"), "images", where=root)
    more, without = further(places, whole, vocabulary)
    whole, spare = with_plus(whole, places, reports)
    stated_labels = tables.check(pl.concat([*labels, *more]), "labels", where=root, vocabulary=vocabulary)
    return Source(whole, stated_labels, notes=(*notes, *without, *spare))


def _one_copy(found: list[tuple[str, Path, pl.DataFrame]], root: Path) -> None:
    splits = [split for split, _, _ in found]
    twice = [path for split, path, _ in found if splits.count(split) > 1]
    if twice:
        raise InputError(
            root,
            "one copy of CheXpert",
            f"{len(twice)} tables of the same images",
            examples=[p.relative_to(root) for p in twice],
            do="Give the folder of one of them.",
        )


def _places(root: Path) -> list[Path]:
    """The root and the folders in it in which parts of the set may lie."""
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
    """The columns that a table must have: those of the test set and of CheXlocalize say not who the patients are."""
    whole = path.name.startswith(("train", "valid"))
    return ("Path", *_WHO, *_OBSERVATIONS) if whole else ("Path", *_OBSERVATIONS[1:])


def with_case(rows: pl.DataFrame, path: Path, column: str = "Path") -> pl.DataFrame:
    """The rows with the study that the path in `column` names as case_id."""
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
    """The labels of further programs, each a source; a note counts the studies in them that have no image here."""
    made = []
    for place in places:
        for source, name in _PROGRAMS.items():
            if (path := source_tables.found(place, [name])) is not None:
                rows = label_layouts.as_text(tables.frame_of(path))
                source_tables.check_columns(rows, path, _columns(path), ABOUT)
                made.append(_labels(with_case(rows, path), path, source, vocabulary))
        for source, name in _SECTIONS.items():
            if (path := source_tables.found(place, [f"chexbert_labels/{name}", name])) is not None:
                rows = _lines(path)
                source_tables.check_columns(rows, path, ("path_to_image", *_OBSERVATIONS), ABOUT)
                made.append(_labels(with_case(rows, path, "path_to_image"), path, source, vocabulary))
    cases = images.select("case_id").unique()
    kept = [m.join(cases, on="case_id", how="semi") for m in made]
    orphans = [m.join(cases, on="case_id", how="anti")["case_id"].n_unique() for m in made]
    notes = tuple(
        f"labels by {m['source'][0]} of {n:,} studies without image" for m, n in zip(made, orphans, strict=True) if n
    )
    return kept, notes


def _lines(path: Path) -> pl.DataFrame:
    """A file with a JSON object per line, as text."""
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
    """In which folder each patient's folder lies: train/, valid/, test/ or a batch's own."""
    found: dict[str, Path] = {}
    for place in places:
        for folder in (place / "test", place / "val", place / "valid", place / "train", place):
            if folder.is_dir():
                found |= {e.name: folder for e in os.scandir(folder) if e.name.startswith("patient")}
    return found


def images_of(rows: pl.DataFrame, path: Path, where: dict[str, Path], root: Path, absent: Path) -> pl.DataFrame:
    """The images of one table, without their site; `where` each patient's folder lies, else below `absent`."""
    rows = _by_image(rows, where)
    patient = pl.col("case_id").str.extract(r"(patient\d+)")
    inner = pl.col("Path").str.extract(r"(patient\d+/.*)$")
    folders = {p: f.relative_to(root).as_posix() for p, f in where.items()}
    other = absent.relative_to(root).as_posix()
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
        path=pl.format("{}/{}", patient.replace_strict(folders, default=other), inner).str.strip_prefix("./"),
        _assumed="_assumed",
    )
    assumed = pl.when(pl.col("_assumed")).then(pl.lit("its study's folder is not there: one frontal image assumed"))
    frame = _views(normalise.noted(frame, assumed).drop("_assumed"))
    frame, strange = normalise.sexes(frame, path)
    frame, unread = normalise.ages(frame, path)
    if strange or unread:
        raise InputError.all([*strange, *unread])
    none = pl.col("age_years") == 0
    frame = normalise.noted(frame, pl.when(none).then(pl.lit("age 0 among adults: not stated")))
    return frame.with_columns(age_years=pl.when(~none).then("age_years"))


def _by_image(rows: pl.DataFrame, where: dict[str, Path]) -> pl.DataFrame:
    """A row per image also where the table is by study: the files of its folder say which images it has."""
    rows = rows.with_columns(pl.lit(None, pl.String).alias(c) for c in _WHO if c not in rows.columns)
    if rows["Path"].str.contains(r"\.(?:jpg|png)$").all():
        named = pl.when(pl.col("Path").str.contains("lateral")).then(pl.lit("Lateral")).otherwise(pl.lit("Frontal"))
        return rows.with_columns(pl.col("Frontal/Lateral").fill_null(named), _assumed=pl.lit(False))
    made = []
    for row in rows.iter_rows(named=True):
        patient, study = row["case_id"].split("/")
        folder = where.get(patient, Path("/nonexistent")) / patient / study
        names = sorted(p.name for p in folder.glob("*.jpg")) if folder.is_dir() else ["view1_frontal.jpg"]
        side = {n: "Lateral" if "lateral" in n else "Frontal" for n in names}
        known = {"_assumed": not folder.is_dir()}
        made += [row | known | {"Path": f"{row['case_id']}/{n}", "Frontal/Lateral": side[n]} for n in names]
    return pl.DataFrame(made, schema=rows.schema | {"_assumed": pl.Boolean})


def _views(frame: pl.DataFrame) -> pl.DataFrame:
    word = pl.col("view").fill_null("")
    strange = ~word.is_in(["AP", "PA", "LATERAL", ""])
    note = pl.when(strange).then(pl.format("a frontal image whose AP/PA is '{}': UNKNOWN", word))
    known = pl.when(word.is_in(["AP", "PA", "LATERAL"])).then(word).otherwise(pl.lit("UNKNOWN"))
    return normalise.noted(frame, note).with_columns(view=known)


def with_plus(images: pl.DataFrame, places: list[Path], reports: bool) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Who the patients are, where the table of CheXpert Plus lies beside, and a note on the images it does not tell."""
    path = next(
        (p for place in places if (p := source_tables.found(place, ["df_chexpert_plus_*.csv"])) is not None), None
    )
    if path is None:
        return images, ()
    rows = label_layouts.as_text(tables.frame_of(path))
    source_tables.check_columns(rows, path, ("path_to_image", *PLUS), ABOUT)
    told = told_by(rows, path, reports)
    without = images.join(told, on="image_id", how="anti").height
    note = (f"CheXpert Plus does not tell of {without:,} images who the patients are",) if without else ()
    return images.join(told, on="image_id", how="left", maintain_order="left"), note


def told_by(rows: pl.DataFrame, path: Path, reports: bool) -> pl.DataFrame:
    """What the table of CheXpert Plus tells of every image; `reports`: the report and its sections too."""
    text = [c for c in rows.columns if c == "report" or c.startswith("section_")] if reports else []
    key = pl.col("path_to_image").str.extract(r"(patient\d+/.*)\.\w+$").alias("image_id")
    told = rows.select(key, *PLUS, *text).unique()
    twice = told.filter(pl.col("image_id").is_duplicated())["image_id"].unique().sort()
    if len(twice):
        raise InputError(path, "one row per image", f"{len(twice):,} images with several", examples=twice)
    return told
