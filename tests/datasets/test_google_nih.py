import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
ROWS = {
    "00000013_008.png": "No Finding,8,13,60,M,AP,3056,2544,0.139,0.139",
    "00000119_001.png": "Atelectasis,1,119,56,M,AP,2500,2048,0.168,0.168",
}
FOUR = "Fracture,Pneumothorax,Airspace opacity,Nodule or mass"
READS = """Patient ID,Image ID,Reader ID,Fracture,Pneumothorax,Airspace opacity,Nodule/mass,Set ID
13,00000013_008.png,77,NO,YES,YES,NO,test
13,00000013_008.png,78,NO,HEDGE,YES,NO,test
13,00000013_008.png,77,NO,NO,YES,NO,test
119,00000119_001.png,77,NO,NO,NO,YES,val
"""


@pytest.fixture
def root(tmp_path):
    a, b = ROWS
    (tmp_path / "test_labels.csv").write_text(f"{NIH},{FOUR},Set Id\n{a},{ROWS[a]},NO,NO,YES,NO,test\n")
    (tmp_path / "validation_labels.csv").write_text(f"{NIH},{FOUR},Set Id\n{b},{ROWS[b]},NO,NO,NO,HEDGE,val\n")
    (tmp_path / "individual_readers.csv").write_text(READS)
    return tmp_path


def test_panels_are_labels_and_single_answers_are_reads(root):
    source = datasets.load("google_nih", root)
    assert source.images.select("image_id", "patient_id", "view", "sex", "age_years", "google_split").rows() == [
        ("00000013_008.png", "13", "AP", "M", 60.0, "test"),
        ("00000119_001.png", "119", "AP", "M", 56.0, "val"),
    ]
    labels = {(r["case_id"][:8], r["finding"]): r["state"] for r in source.labels.iter_rows(named=True)}
    assert labels == {
        ("00000013", "fracture"): "absent",
        ("00000013", "pneumothorax"): "absent",
        ("00000013", "lung_opacity"): "present",
        ("00000013", "lung_lesion"): "absent",
        ("00000119", "fracture"): "absent",
        ("00000119", "pneumothorax"): "absent",
        ("00000119", "lung_opacity"): "absent",
        ("00000119", "lung_lesion"): "uncertain",
    }
    assert source.labels["source"].unique().to_list() == ["adjudicated"]
    air = source.reads.filter(finding="pneumothorax").select("reader", "case_id", "round", "call").rows()
    assert air == [
        ("77", "00000013_008.png", 1, "present"),
        ("78", "00000013_008.png", 1, "uncertain"),
        ("77", "00000013_008.png", 2, "absent"),
        ("77", "00000119_001.png", 1, "absent"),
    ]
    assert source.reads["arm"].unique().to_list() == ["unaided"]


def test_with_nih_beside_it_both_label_sources_stand_on_the_same_images(root):
    folder = root / "nih"
    folder.mkdir()
    lines = [f"{name},{rest}" for name, rest in ROWS.items()] + ["00000200_000.png,Mass,0,200,50,F,PA,2,2,0.1,0.1"]
    (folder / "Data_Entry_2017.csv").write_text("\n".join([NIH, *lines]) + "\n")
    (folder / "images").mkdir()
    (folder / "images" / "00000200_000.png").touch()
    source = datasets.load("google_nih", root, {"nih": "nih"})
    assert source.images["path"].to_list()[2] == "nih/images/00000200_000.png"
    assert source.images["google_split"].to_list() == ["test", "val", None]
    assert source.labels.group_by("source").len().sort("source").rows() == [("adjudicated", 8), ("report_text", 45)]
    assert source.reads.height == 16
    (folder / "Data_Entry_2017.csv").write_text("\n".join([NIH, *lines[1:]]) + "\n")
    with pytest.raises(InputError, match=r"the images that Google labelled; found 1 missing \(00000013_008.png\)"):
        datasets.load("google_nih", root, {"nih": "nih"})


def test_unknown_answers_and_columns_are_said(root):
    file = root / "individual_readers.csv"
    file.write_text(READS.replace("HEDGE", "MAYBE"))
    with pytest.raises(InputError, match=r"answers YES, NO, HEDGE; found others \(MAYBE\)"):
        datasets.load("google_nih", root)
    file.write_text(READS.replace("Fracture", "Fractur"))
    with pytest.raises(InputError, match=r"'Fractur'.*Did you mean 'Fracture'"):
        datasets.load("google_nih", root)
    file.unlink()
    with pytest.raises(InputError, match=r"individual_readers.csv of Expert labels of ChestX-ray14"):
        datasets.load("google_nih", root)


@pytest.mark.slow
def test_the_real_tables(shared, tmp_path):
    for name in ("individual_readers", "test_labels", "validation_labels"):
        (tmp_path / f"{name}.csv.gz").symlink_to(shared(f"real/readers/{name}.csv.gz"))
    source = datasets.load("google_nih", tmp_path)
    assert source.notes == ()
    assert source.images.height == 4376
    assert source.images["google_split"].value_counts().sort("google_split").rows() == [("test", 1962), ("val", 2414)]
    reads = source.reads
    assert reads["reader"].n_unique() == 22
    assert reads.select("reader", "case_id", "round").unique().height == 13_081
    assert reads.filter(pl.col("round") == 2).select("reader", "case_id").unique().height == 4
    assert source.images["patient_id"].n_unique() == 1695
    said = source.labels.group_by("finding", "state").len()
    assert {(f, str(s)): n for f, s, n in said.rows()} == {
        ("fracture", "present"): 72 + 114,
        ("fracture", "absent"): 1890 + 2300,
        ("pneumothorax", "present"): 195 + 43,
        ("pneumothorax", "absent"): 1767 + 2371,
        ("lung_opacity", "present"): 1135 + 1031,
        ("lung_opacity", "absent"): 827 + 1383,
        ("lung_lesion", "present"): 295 + 310,
        ("lung_lesion", "absent"): 1667 + 2104,
    }
    read = {(f, str(c)): n for f, c, n in reads.group_by("finding", "call").len().rows()}
    assert read == {
        ("fracture", "present"): 351,
        ("fracture", "absent"): 12_730,
        ("pneumothorax", "present"): 708,
        ("pneumothorax", "absent"): 12_208,
        ("pneumothorax", "uncertain"): 165,
        ("lung_opacity", "present"): 5_815,
        ("lung_opacity", "absent"): 7_266,
        ("lung_lesion", "present"): 1_559,
        ("lung_lesion", "absent"): 11_261,
        ("lung_lesion", "uncertain"): 261,
    }


@pytest.mark.slow
def test_with_the_whole_of_nih(shared, tmp_path):
    for name in ("individual_readers", "test_labels", "validation_labels"):
        (tmp_path / f"{name}.csv.gz").symlink_to(shared(f"real/readers/{name}.csv.gz"))
    (tmp_path / "nih").mkdir()
    entries = "Data_Entry_2017_v2020.csv.gz"
    (tmp_path / "nih" / entries).symlink_to(shared("real/labels") / entries)
    source = datasets.load("google_nih", tmp_path, {"nih": "nih"})
    assert source.images.height == 112_120
    assert source.labels.group_by("source").len().sort("source").rows() == [
        ("adjudicated", 4 * 4376),
        ("report_text", 15 * 112_120),
    ]


FOURTEEN = (
    "Abnormal,Atelectasis,Cardiomegaly,Effusion,Infiltration,Mass,Nodule,Pneumonia,Pneumothorax,Consolidation,"
    "Edema,Emphysema,Fibrosis,Pleural Thickening,Hernia,Other"
)


def test_the_folder_as_downloaded_with_all_fourteen_findings(root):
    four, every = root / "four_findings_expert_labels", root / "all_findings_expert_labels"
    four.mkdir()
    every.mkdir()
    for name in ("test_labels.csv", "validation_labels.csv", "individual_readers.csv"):
        (root / name).rename(four / f"{four.name}_{name}")
    a = next(iter(ROWS))
    (every / f"{every.name}_test_individual_readers.csv").write_text(
        f"Image ID,Patient ID,Reader ID,{FOURTEEN}\n{a},13,901,0{',NO' * 15}\n{a},13,902,1,YES{',NO' * 13},YES\n"
    )
    (every / f"{every.name}_test_labels.csv").write_text(f"Image ID,Patient ID,{FOURTEEN}\n{a},13,NO{',NO' * 15}\n")
    source = datasets.load("google_nih", root)
    assert source.labels.group_by("source").len().sort("source").rows() == [
        ("adjudicated", 8),
        ("majority_of_three", 15),
    ]
    normal = source.reads.filter(finding="no_finding").select("reader", "case_id", "call").rows()
    assert normal == [("901", a, "present"), ("902", a, "absent")]
    present = source.reads.filter(pl.col("reader") == "902", pl.col("call").cast(pl.String) == "present")
    assert present["finding"].to_list() == ["atelectasis"]
    assert source.reads.height == 4 * 4 + 2 * 15
    assert source.notes == (
        "1 reads name an abnormality outside the fourteen findings, which is not in the vocabulary",
    )
    file = every / f"{every.name}_test_labels.csv"
    file.write_text(f"Image ID,Patient ID,{FOURTEEN}\n{a},13,perhaps{',NO' * 15}\n")
    with pytest.raises(InputError, match=r"in Abnormal YES, 1, NO, 0; found others \(perhaps\)"):
        datasets.load("google_nih", root)


def test_reads_of_other_images_are_said(root):
    with (root / "individual_readers.csv").open("a") as file:
        file.write("9,00000009_000.png,77,NO,NO,NO,YES,val\n")
    with pytest.raises(InputError, match=r"reads of images that are labelled; found 1 others \(00000009_000.png\)"):
        datasets.load("google_nih", root)
