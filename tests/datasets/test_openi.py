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
        report(2, ["Cardiomegaly/borderline", "Opacity/lung/base", "Scoliosis/thoracic", "Mass/breast"], ["CXR2_a"])
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
        ("CXR1", "no_finding"),
        ("CXR2", "cardiomegaly"),
        ("CXR2", "lung_opacity"),
    ]
    assert labels["case_id"].unique().sort().to_list() == ["CXR1", "CXR2"]  # the third was not coded
    assert labels.filter(finding="mass").select("case_id", "state").rows() == [("CXR1", "absent")]
    images = source.images
    assert images["mesh"][2] == "Cardiomegaly/borderline|Opacity/lung/base|Scoliosis/thoracic|Mass/breast"
    assert images.select("image_id", "case_id", "path").row(2) == ("CXR2_a", "CXR2", "NLMCXR_png/CXR2_a.png")
    assert images["findings"][0] == "Heart is large."
    assert images["view"].unique().to_list() == ["UNKNOWN"]
    assert source.notes == (
        "1 coded terms are not in the vocabulary (scoliosis 1): kept in mesh",
        "reports in which a code leaves a finding open, which is then not stated: mass 1",
        "1 reports have no image",
        "1 reports with images were not coded: they state nothing",
    )


@pytest.mark.parametrize(
    ("entries", "finding", "state"),
    [
        (["Hydropneumothorax/left"], "pneumothorax", "present"),
        (["Hydropneumothorax/left"], "pleural_effusion", "present"),
        (["Subcutaneous Emphysema"], "emphysema", "absent"),
        (["Thickening/pleura/apex"], "pleural_thickening", "present"),
        (["Thickening/bronchi"], "pleural_thickening", None),
        (["Opacity/retrocardiac"], "lung_opacity", None),
        (["Density/lung"], "lung_opacity", None),
        (["Density/lung", "Opacity/lung"], "lung_opacity", "present"),
        (["Technical Quality of Image Unsatisfactory "], "pneumonia", None),
    ],
)
def test_an_entry_states_what_its_head_and_place_say(root, entries, finding, state):
    (root / "NLMCXR_reports" / "ecgen-radiology" / "2.xml").write_text(report(2, entries, ["CXR2_a"]))
    labels = datasets.load("openi", root).labels.filter(pl.col("case_id") == "CXR2")
    stated = {str(f): str(s) for f, s in labels.select("finding", "state").rows()}
    assert stated.get(finding) == state


def test_headers_of_the_dicom_files_tell_the_view_also_of_the_png(root, dicom_file):
    tags = {"ViewPosition": "PA", "PixelSpacing": [0.2, 0.2]}
    dicom_file(root / "NLMCXR_dcm" / "1" / "1_1_IM-0001-3001.dcm", **tags)
    dicom_file(root / "NLMCXR_dcm" / "2" / "2_a.dcm", **tags)
    images = datasets.load("openi", root).images
    assert images.select("path", "view").rows() == [
        ("NLMCXR_dcm/1/1_1_IM-0001-3001.dcm", "PA"),
        ("CXR1_1_IM-0001-4001.png", "UNKNOWN"),
        ("NLMCXR_png/CXR2_a.png", "PA"),
        ("CXR3_a.png", "UNKNOWN"),
    ]
    assert images["pixel_mm"][2] is None


def test_what_is_wrong_is_said(root):
    file = root / "NLMCXR_reports" / "ecgen-radiology" / "2.xml"
    file.write_text(report(2, ["normal"], ["CXR1_1_IM-0001-3001"]))
    with pytest.raises(InputError, match=r"every image in one report; found 1 in several \(CXR1_1_IM-0001-3001\)"):
        datasets.load("openi", root)
    file.write_text("<eCitation><uId>")
    with pytest.raises(InputError, match=r"2.xml: expected a report in XML; found one that is broken \(no element"):
        datasets.load("openi", root)
    file.write_text('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><eCitation>&x;</eCitation>')
    with pytest.raises(InputError, match="without a document type; found one that defines 'a'"):
        datasets.load("openi", root)
    file.write_bytes('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE b []><eCitation/>'.encode("utf-16"))
    with pytest.raises(InputError, match="without a document type; found one that defines 'b'"):
        datasets.load("openi", root)
    file.write_text(report(2, ["normal"], [""]))
    with pytest.raises(InputError, match="an id of every parentImage; found 1 without"):
        datasets.load("openi", root)
    file.write_text(report(1, ["normal"], ["CXR2_a"]))
    with pytest.raises(InputError, match=r"a number of its own \(uId\) in every report; found 1 in several \(CXR1\)"):
        datasets.load("openi", root)
    with pytest.raises(InputError, match=r"found CXR2_a.png"):
        datasets.load("openi", root / "NLMCXR_png")


def test_a_folder_of_another_set_is_named(tmp_path):
    (tmp_path / "Data_Entry_2017.csv").touch()
    with pytest.raises(InputError, match="found a folder that looks like NIH ChestX-ray14"):
        datasets.load("openi", tmp_path)
