"""Open-i, Indiana University: 7,470 radiographs of 3,955 reports in XML, findings coded in MeSH.

Demner-Fushman et al. 2016, doi:10.1093/jamia/ocv080.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import polars as pl

from overread import findings, tables
from overread.datasets import shipped
from overread.errors import InputError
from overread.images import tree
from overread.tables import Source

ABOUT = shipped.About(
    title="Open-i (Indiana University)",
    citation="Demner-Fushman et al. 2016",
    doi="10.1093/jamia/ocv080",
    url="https://openi.nlm.nih.gov/",
    licence="CC BY-NC-ND 4.0",
    terms="attribution; non-commercial; no derivatives to be shared",
    marks=("ecgen-radiology/*.xml", "NLMCXR_reports", "NLMCXR_png", "NLMCXR_dcm"),
    images=7_470,
)
# The head of a MeSH entry ("Cardiomegaly/mild") and the finding that it is.
_MESH = {
    "normal": "no_finding", "cardiomegaly": "cardiomegaly", "pulmonary atelectasis": "atelectasis",
    "atelectasis": "atelectasis", "pleural effusion": "pleural_effusion", "infiltrate": "infiltration",
    "consolidation": "consolidation", "pulmonary edema": "edema", "emphysema": "emphysema",
    "pulmonary emphysema": "emphysema", "pulmonary fibrosis": "fibrosis", "nodule": "nodule", "mass": "mass",
    "pneumonia": "pneumonia", "pneumothorax": "pneumothorax", "hydropneumothorax": "pneumothorax",
    "hernia, hiatal": "hernia", "fractures, bone": "fracture", "opacity": "lung_opacity",
    "tuberculosis": "tuberculosis",
    "catheters, indwelling": "support_devices", "implanted medical device": "support_devices",
    "tube, inserted": "support_devices", "medical device": "support_devices",
}  # fmt: skip
_NONE = ("no indexing", "technical quality of image unsatisfactory")
_SECTIONS = ("INDICATION", "FINDINGS", "IMPRESSION")


def read(root: Path, *, site: str = "indiana") -> Source:
    """Read Open-i from the folder with the reports (XML, in any folder) and the images (PNG, or DICOM).

    Returns a Source. A report is a case, and a patient, since no other number is given. Labels of source "mesh": the
    coder's entries state what is present, by the exact head of each entry; a coded report states every finding that the
    heads can name, the others absent. Heads without a word in the vocabulary are counted in a note; a report that was
    not coded states nothing. The report's sections are columns. The set tells no view, sex or age: view UNKNOWN.

    Raises InputError: no such folder, no reports in it, XML that is broken or that defines entities, images of two
    reports.
    """
    root = Path(root)
    reports = tree.files(root, suffixes=(".xml",))
    if not reports:
        shipped.table(root, ["ecgen-radiology/1.xml"], (), ABOUT)  # says what stands there instead
    where = {p.stem: p.relative_to(root).as_posix() for p in tree.files(root, suffixes=(".png", ".dcm", ".jpg"))}
    rows, heads = [], {}
    for path in reports:
        case, text, heads[case], names = _report(path)
        rows += [
            {"image_id": n, "case_id": case, "patient_id": case, "path": where.get(n, f"{n}.png"), **text}
            for n in names
        ]
    schema = dict.fromkeys(("image_id", "case_id", "patient_id", "path", *(s.lower() for s in _SECTIONS)), pl.String)
    images = pl.DataFrame(rows, schema=schema).with_columns(site=pl.lit(site), dataset=pl.lit("openi"))
    twice = images.filter(pl.col("image_id").is_duplicated())["image_id"].unique().sort()
    if len(twice):
        raise InputError(root, "every image in one report", f"{len(twice):,} in several", examples=twice)
    known = set(images["case_id"])
    spare = Counter(h for case in known for h in heads[case] if h not in _MESH and h not in _NONE)
    notes = shipped.counts_note(images, ABOUT)
    if spare:
        shown = ", ".join(f"{head} {n:,}" for head, n in spare.most_common(5))
        notes += (f"{len(spare)} coded words have no word in the vocabulary ({shown}): left out",)
    if silent := len(heads) - len(known):
        notes += (f"{silent:,} reports have no image",)
    labels = _labels({case: h for case, h in heads.items() if case in known})
    return Source(tables.check(images, "images", where=root), labels, notes=notes)


def _report(path: Path) -> tuple[str, dict[str, str | None], tuple[str, ...], list[str]]:
    """A report's number, its sections, the heads of its coded entries, and its images."""
    data = path.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # nothing that can reach outside the file is let in
        raise InputError(path, "a report without a document type", "one that defines its own entities")
    try:
        top = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise InputError(
            path, "a report in XML", f"one that is broken ({error})", do="Fetch the file again."
        ) from error
    uid = top.find("./uId")
    case = (uid.get("id") if uid is not None else "") or path.stem
    text = {s.lower(): None for s in _SECTIONS} | {
        str(part.get("Label")).lower(): (part.text or "").strip() or None
        for part in top.iter("AbstractText")
        if part.get("Label") in _SECTIONS
    }
    heads = tuple(re.split(r"/", (m.text or "").strip().casefold())[0] for m in top.findall("./MeSH/major"))
    names = [str(image.get("id")) for image in top.findall("./parentImage")]
    return case, text, heads, names


def _labels(heads: dict[str, tuple[str, ...]]) -> pl.DataFrame:
    stated = {case: {_MESH[h] for h in found if h in _MESH} for case, found in heads.items() if set(found) - set(_NONE)}
    every = [f for f in findings.names() if f in set(_MESH.values())]
    rows = [
        {"case_id": case, "finding": f, "source": "mesh", "state": "present" if f in found else "absent"}
        for case, found in stated.items()
        for f in every
    ]
    return tables.check(
        pl.DataFrame(rows, schema=dict.fromkeys(("case_id", "finding", "source", "state"), pl.String)), "labels"
    )
