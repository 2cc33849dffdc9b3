"""A generated tree of a hospital: every file is an image, or is counted and listed with its reason."""

from collections import Counter

import numpy as np
import polars as pl
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overread import datasets
from overread.cohort import CohortConfig, build
from overread.images.recipe.pixel_recipe import Recipe

pytestmark = pytest.mark.slow

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
RADIOGRAPHS = ["CR", "DX", "RG"]
OTHERS = ["CT", "MR", "NM", "US", "MG", "PT", "XA", "OT", "IO", "PX"]
UNUSABLE = ["no patient", "no uid", "empty", "torn", "twice", "two patients", "mixed study"]

pieces = st.one_of(
    st.tuples(
        st.just("radiograph"), st.sampled_from(RADIOGRAPHS), st.sampled_from(["CHEST", "Thorax", "", "HAND", "TOOTH"])
    ),
    st.tuples(st.just("capture"), st.sampled_from(RADIOGRAPHS + OTHERS), st.just("CHEST")),
    st.tuples(st.just("other"), st.sampled_from(OTHERS), st.just("CHEST")),
    st.tuples(st.just("text"), st.just(""), st.just("")),
    st.tuples(st.sampled_from(UNUSABLE), st.sampled_from(RADIOGRAPHS), st.just("CHEST")),
)


@pytest.fixture
def tree(tmp_path_factory, dicom_file):
    """Write the pieces into a new folder; returns it, and how many files and images of each kind are expected."""

    def write(given_pieces):
        root = tmp_path_factory.mktemp("tree")
        expected = Counter()
        for n, (kind, modality, part) in enumerate(given_pieces):
            uid, base = f"1.2.{n}.1", {"Modality": modality, "BodyPartExamined": part, "StudyInstanceUID": f"1.2.{n}"}
            base |= {"PatientID": f"p{n}", "SOPInstanceUID": uid}
            path = root / f"d{n % 3}" / f"{n}.dcm"
            values = np.arange(64, dtype=np.uint8).reshape(8, 8) + n % 190
            if kind == "text":
                path.parent.mkdir(exist_ok=True)
                path.with_suffix(".txt").write_text("hello")
                expected["excluded"] += 1
                continue
            if kind == "capture":
                base |= {"SOPClassUID": CAPTURE, "ConversionType": "WSD"}
            if kind == "no patient":
                base.pop("PatientID")
            dicom_file(path, values, **base)
            if kind == "no uid":
                dataset = pydicom.dcmread(path)
                dataset.SOPInstanceUID = ""
                dataset.save_as(path)
            expected["unusable"] += kind in UNUSABLE
            if kind in ("radiograph", "capture", "other"):
                expected["image" if modality in RADIOGRAPHS else "excluded"] += 1
                expected["chest"] += modality in RADIOGRAPHS and part in ("CHEST", "Thorax", "")
            if kind == "empty":
                path.write_bytes(b"")
            if kind == "torn":
                path.write_bytes(path.read_bytes()[:150])
            second = path.with_suffix(".second")
            if kind == "twice":
                dicom_file(second, values + 1, **base)
            if kind == "two patients":
                dicom_file(second, values, **base | {"PatientID": "q"})
            if kind == "mixed study":
                dicom_file(second, values, **base | {"PatientID": "q", "SOPInstanceUID": f"{uid}.2"})
            expected["unusable"] += kind in ("twice", "two patients", "mixed study")
        return root, expected

    return write


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, min_size=1, max_size=12))
def test_files_found_are_images_and_counted_exclusions(tree, given_pieces):
    root, expected = tree([("radiograph", "DX", "CHEST"), *given_pieces])
    expected = dict(expected)
    source = datasets.load("dicom_folder", root, {"site": "north", "workers": 1})
    files = [p for p in root.rglob("*") if p.is_file() and not p.name.startswith(".overread")]
    assert source.images.height == expected["image"]
    assert source.excluded.height == len(files) - expected["image"]
    assert source.excluded.filter("unreadable").height == expected.get("unusable", 0)
    named = {*source.images["path"], *source.excluded["path"]}
    assert named == {p.relative_to(root).as_posix() for p in files}
    config = CohortConfig(recipe=Recipe(8), fractions=(1, 0, 0), max_unreadable=1.0, duplicates="together")
    out = root.with_name(f"{root.name}-cohort")
    cohort = build(source, root, out, config)
    assert cohort.images.height == expected["chest"]
    flow = cohort.flow.filter(pl.col("step") != "noted", pl.col("unit").is_in(["files", "images"]))
    if source.excluded.height:
        assert flow.filter(step="in the sources", site="")["count"].item() == len(files)
    for site in ("", "north"):
        rows = flow.filter(site=site)
        left = rows.filter(pl.col("reason") != "")["count"].sum()
        assert left + cohort.images.height == len(files)
    assert pl.read_csv(out / "unreadable.csv", infer_schema=False).height == expected.get("unusable", 0)
