import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{n}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="FINDINGS">Heart is {finding}.</AbstractText>
<AbstractText Label="IMPRESSION">x</AbstractText></Abstract></Article></MedlineCitation>
<MeSH>{mesh}</MeSH>{images}</eCitation>"""


def report(n, majors, images):
    mesh = "".join(f"<major>{m}</major>" for m in majors) + "<automatic>whatever</automatic>"
    return REPORT.format(n=n, finding="large", mesh=mesh, images="".join(f'<parentImage id="{i}"/>' for i in images))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "NLMCXR_reports" / "ecgen-radiology"
    folder.mkdir(parents=True)
    (folder / "1.xml").write_text(report(1, ["normal"], ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"]))
    (folder / "2.xml").write_text(
        report(2, ["Cardiomegaly/borderline", "Opacity/lung/base", "Scoliosis/thoracic"], ["CXR2_a"])
    )
    (folder / "3.xml").write_text(report(3, ["No Indexing"], ["CXR3_a"]))
    (folder / "4.xml").write_text(report(4, ["normal"], []))
    (tmp_path / "NLMCXR_png").mkdir()
    (tmp_path / "NLMCXR_png" / "CXR2_a.png").touch()
    return tmp_path


def test_coded_heads_are_findings_and_a_coded_report_states_them_all(root):
    source = datasets.load("openi", root)
    labels = source.labels.with_columns(pl.col("state").cast(pl.String))
    assert sorted(labels.filter(state="present").select("case_id", "finding").rows()) == [
        ("CXR1", "no_finding"), ("CXR2", "cardiomegaly"), ("CXR2", "lung_opacity"),
    ]  # fmt: skip
    assert labels["case_id"].unique().sort().to_list() == ["CXR1", "CXR2"]  # the third was not coded
    images = source.images
    assert images.select("image_id", "case_id", "path").row(2) == ("CXR2_a", "CXR2", "NLMCXR_png/CXR2_a.png")
    assert images["findings"][0] == "Heart is large."
    assert images["view"].unique().to_list() == ["UNKNOWN"]
    assert source.notes == (
        "1 coded words have no word in the vocabulary (scoliosis 1): left out", "1 reports have no image",
    )  # fmt: skip


def test_what_is_wrong_is_said(root):
    file = root / "NLMCXR_reports" / "ecgen-radiology" / "2.xml"
    file.write_text(report(2, ["normal"], ["CXR1_1_IM-0001-3001"]))
    with pytest.raises(InputError, match=r"every image in one report; found 1 in several \(CXR1_1_IM-0001-3001\)"):
        datasets.load("openi", root)
    file.write_text("<eCitation><uId>")
    with pytest.raises(InputError, match=r"2.xml: expected a report in XML; found one that is broken \(no element"):
        datasets.load("openi", root)
    file.write_text('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><eCitation>&x;</eCitation>')
    with pytest.raises(InputError, match="without a document type; found one that defines its own entities"):
        datasets.load("openi", root)
    with pytest.raises(InputError, match=r"found CXR2_a.png"):
        datasets.load("openi", root / "NLMCXR_png")
