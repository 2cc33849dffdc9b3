"""Open-i, Indiana University: 7,470 radiographs of 3,955 reports in XML, findings coded in MeSH.

Demner-Fushman et al. 2016, doi:10.1093/jamia/ocv080.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

import polars as pl

from overread import limits, regular, tables
from overread.datasets.fields import original_headers
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.images import file_tree
from overread.tables import Source

ABOUT = source_tables.About(
    title="Open-i (Indiana University)",
    citation="Demner-Fushman et al. 2016",
    doi="10.1093/jamia/ocv080",
    url="https://openi.nlm.nih.gov/",
    licence="CC BY-NC-ND 4.0",
    terms="attribution; non-commercial; no derivatives to be shared",
    marks=("ecgen-radiology/*.xml", "NLMCXR_reports", "NLMCXR_png", "NLMCXR_dcm"),
    images=7_470,
)
# The head of a MeSH entry ("Cardiomegaly/mild") and the findings that it is.
_MESH = {
    "normal": ("no_finding",),
    "cardiomegaly": ("cardiomegaly",),
    "pulmonary atelectasis": ("atelectasis",),
    "pleural effusion": ("pleural_effusion",),
    "hemothorax": ("pleural_effusion",),
    "infiltrate": ("infiltration",),
    "hydropneumothorax": ("pleural_effusion", "pneumothorax"),
    "hemopneumothorax": ("pleural_effusion", "pneumothorax"),
    "pneumothorax": ("pneumothorax",),
    "consolidation": ("consolidation",),
    "pulmonary edema": ("edema",),
    "emphysema": ("emphysema",),
    "pulmonary emphysema": ("emphysema",),
    "bullous emphysema": ("emphysema",),
    "pulmonary fibrosis": ("fibrosis",),
    "nodule": ("nodule",),
    "mass": ("mass",),
    "pneumonia": ("pneumonia",),
    "hernia, hiatal": ("hernia",),
    "fractures, bone": ("fracture",),
    "opacity": ("lung_opacity",),
    "airspace disease": ("lung_opacity",),
    "thickening": ("pleural_thickening",),
    "tuberculosis": ("tuberculosis",),
    "catheters, indwelling": ("support_devices",),
    "implanted medical device": ("support_devices",),
    "tube, inserted": ("support_devices",),
}
# Heads that are that finding only at this place ("Mass/breast" is no mass of the lung). Elsewhere, or where no place is
# coded, the report says nothing of the finding: neither present nor absent.
_PLACE = {"opacity": "lung", "nodule": "lung", "mass": "lung", "thickening": "pleura"}
# Heads that may be the finding: the report says nothing of it. "Density/lung" may be an opacity.
_UNSAID = {"density": ("lung_opacity",), "medical device": ("support_devices",)}
_NONE = ("no indexing", "technical quality of image unsatisfactory")
_SECTIONS = ("INDICATION", "FINDINGS", "IMPRESSION")


def read(root: Path, *, site: str = "indiana", vocabulary: Vocabulary | None = None) -> Source:
    """Read Open-i from the folder with the reports (XML, in any folder) and the images (NLMCXR_png, NLMCXR_dcm).

    Returns a Source. A report is a case, and a patient, since no other number is given. Labels of source "mesh": the
    coder's entries state what is present, by the exact head of each entry ("Cardiomegaly/mild"), of opacity, nodule,
    mass and thickening only where the entry names the lung (the pleura); a coded report states every finding that the
    heads can name, the others absent, except what an entry leaves open (an opacity without a place). Heads without a
    word in the vocabulary are counted in a note; a report that was not coded states nothing. The report's sections and
    its entries (`mesh`) are columns. The reports tell no view, sex or age: where the DICOM files are there, their
    headers do, also where the PNG is what is read; else the view is UNKNOWN. A third of the headers (2,586 of 7,469)
    have no view, and torchxrayvision found the others noisy. The real reports give 7,470 images of 3,851 reports, 1,379
    of them normal, 98 not coded.

    Raises InputError: no such folder, no reports in it, XML that is broken or that defines entities, two reports of one
    number, images of two reports.
    """
    root = Path(root)
    files = file_tree.files(root, suffixes=(".xml",))
    if not files:
        source_tables.table(root, ["ecgen-radiology/1.xml"], (), ABOUT)  # says what stands there instead
    reports = [_report(path) for path in files]
    _once([str(said["case_id"]) for said, _ in reports], root, "a number of its own (uId) in every report")
    _once([name for _, names in reports for name in names], root, "every image in one report")
    text = dict.fromkeys(("case_id", *(s.lower() for s in _SECTIONS), "mesh"), pl.String)
    table = pl.DataFrame([said for said, _ in reports], schema=text)
    table = table.with_columns(images=pl.Series([names for _, names in reports], dtype=pl.List(pl.String)))
    rows = table.explode("images").drop_nulls("images").rename({"images": "image_id"})
    images = tables.check(_placed(rows, root, site), "images", where=root)
    shown = table.join(images, on="case_id", how="semi")
    coded = shown.select("case_id", entry=pl.col("mesh").str.split("|")).explode("entry").drop_nulls()
    labels, notes = _labels(coded, root, vocabulary or load_vocabulary())
    if unused := table.height - shown.height:
        notes += (f"{unused:,} reports have no image",)
    if silent := shown.height - labels["case_id"].n_unique():
        notes += (f"{silent:,} reports with images were not coded: they state nothing",)
    return Source(images, labels, notes=notes + source_tables.counts_note(images, ABOUT))


def _once(values: list[str], root: Path, expected: str) -> None:
    twice = [v for v, n in Counter(values).items() if n > 1]
    if twice:
        raise InputError(root, expected, f"{len(twice):,} in several", examples=sorted(twice))


def _placed(rows: pl.DataFrame, root: Path, site: str) -> pl.DataFrame:
    """The images with the path of each one's file, and what the header of its DICOM file says where that is there."""
    pictures = {p.stem: p.relative_to(root).as_posix() for p in file_tree.files(root, suffixes=(".png", ".jpg"))}
    # The DICOM file of CXR10_IM-0002-1001 is 10_IM-0002-1001.dcm.
    dicom = {
        f"CXR{p.stem.removeprefix('CXR')}": p.relative_to(root).as_posix()
        for p in file_tree.files(root, suffixes=(".dcm",))
    }
    named = pl.col("image_id")
    rows = rows.with_columns(
        patient_id="case_id",
        site=pl.lit(site),
        dataset=pl.lit("openi"),
        view=pl.lit("UNKNOWN"),
        _dicom=named.replace_strict(dicom, default=None, return_dtype=pl.String),
        _picture=named.replace_strict(pictures, default=None, return_dtype=pl.String),
    )
    rows = rows.with_columns(path=pl.coalesce("_picture", "_dicom", pl.format("{}.png", named)))
    if dicom:
        told = original_headers.stated(rows.select("image_id", path=pl.coalesce("_dicom", "path")), root)
        rows = rows.drop("view").hstack(told.drop("image_id", "path"))
        resized = pl.col("_picture").is_not_null()
        rows = rows.with_columns(pl.when(~resized).then("pixel_mm").alias("pixel_mm"))  # the PNG has other pixels
    return rows.drop("_dicom", "_picture")


def _report(path: Path) -> tuple[dict[str, str | None], list[str]]:
    """A report's number, its sections, its coded entries (joined by |); and its images."""
    data = regular.content(path, most=limits.DOCUMENT_BYTES)
    _refuse_doctype(data, path)
    top = ElementTree.fromstring(data)
    uid = top.find("./uId")
    text: dict[str, str | None] = dict.fromkeys(s.lower() for s in _SECTIONS)
    for part in top.iter("AbstractText"):
        if part.get("Label") in _SECTIONS:
            text[str(part.get("Label")).lower()] = (part.text or "").strip() or None
    entries = [(m.text or "").strip() for m in top.findall("./MeSH/major")]
    names = [image.get("id", "") for image in top.findall("./parentImage")]
    if "" in names:
        raise InputError(path, "an id of every parentImage", f"{names.count('')} without")
    case = (uid.get("id") if uid is not None else "") or path.stem
    return text | {"case_id": case, "mesh": "|".join(e for e in entries if e) or None}, names


def _refuse_doctype(data: bytes, path: Path) -> None:
    """Nothing that can reach outside the file, or grow within it, is let in, in whatever encoding it is written."""
    said: list[str] = []
    reader = expat.ParserCreate()
    reader.StartDoctypeDeclHandler = lambda name, *_: said.append(name)
    try:
        reader.Parse(data, True)
    except expat.ExpatError as error:
        if not said:
            found = f"one that is broken ({error})"
            raise InputError(path, "a report in XML", found, do="Fetch the file again.") from error
    if said:
        raise InputError(path, "a report without a document type", f"one that defines '{said[0]}'")


def _labels(coded: pl.DataFrame, root: Path, vocabulary: Vocabulary) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The labels of coded entries (case_id, entry), and notes on what they say beyond the vocabulary."""
    rows, spare, open_ = [], Counter[str](), Counter[str]()
    every = [f for f in vocabulary.names() if any(f in found for found in _MESH.values())]
    for (case,), entries in coded.group_by("case_id", maintain_order=True):
        parts = [[p.strip() for p in e.casefold().split("/")] for e in entries["entry"]]
        parts = [p for p in parts if p[0] not in _NONE]
        known = [p for p in parts if p[0] in _MESH]
        placed = [p for p in known if _PLACE.get(p[0], p[0]) in p]
        present = {f for p in placed for f in _MESH[p[0]]}
        loose = [p for p in parts if p[0] in _UNSAID or (p in known and p not in placed)]
        unsaid = {f for p in loose for f in _UNSAID.get(p[0]) or _MESH[p[0]]} - present
        spare.update(p[0] for p in parts if p[0] not in _MESH and p[0] not in _UNSAID)
        open_.update(unsaid)
        rows += [(case, f, "present" if f in present else "absent") for f in every if parts and f not in unsaid]
    made = pl.DataFrame(rows, schema=dict.fromkeys(("case_id", "finding", "state"), pl.String), orient="row")
    notes: tuple[str, ...] = ()
    if spare:
        notes += (f"{len(spare)} coded words have no word in the vocabulary ({_shown(spare)}): kept in mesh",)
    if open_:
        notes += (f"reports in which a code leaves a finding open, which is then not stated: {_shown(open_)}",)
    return tables.check(made.with_columns(source=pl.lit("mesh")), "labels", where=root, vocabulary=vocabulary), notes


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {n:,}" for word, n in counts.most_common(5)) + (", …" if len(counts) > 5 else "")
