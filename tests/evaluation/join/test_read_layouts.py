"""Tables of reads as they are published: boxes of several readers, and files of one reader each."""

import polars as pl
import pytest

from overread import findings
from overread.errors import InputError
from overread.evaluation.join import layouts
from overread.evaluation.join.read_layouts import reads

HEAD = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
BOXES = (
    HEAD + "i1,Cardiomegaly,3,R1,10,10,50,40\n"
    "i1,Nodule/Mass,8,R1,60,60,70,70\n"
    "i1,Nodule/Mass,8,R1,80,60,90,70\n"
    "i1,No finding,14,R2,,,,\n"
    "i2,Rib fracture,19,R1,5,5,9,9\n"
    "i2,Calcification,2,R2,5,5,9,9\n"
    "i2,Cardiomegaly,3,R3,11,10,50,40\n"
)


def write(path, text):
    path.write_text(text)
    return path


def calls(read):
    return {(r, c, f): s for r, c, f, s in read.frame.select("reader", "case_id", "finding", "call").rows()}


def notes(read):
    return {d.reason.codes[0].name: (d.unit, d.count, d.examples) for d in read.dropped}


def test_a_modality_is_the_arm_if_a_reader_read_a_case_under_several(tmp_path):
    rows = "reader,modality,case,rating\na,film,1,2\na,digital,1,4\nb,film,1,3\n"
    (tmp_path / "arms.csv").write_text(rows)
    found = reads(tmp_path / "arms.csv", only="mass")
    assert found.frame["arm"].to_list() == ["film", "digital", "film"]
    assert found.columns["modality"] == "arm"
    (tmp_path / "one.csv").write_text("reader,modality,case,rating\na,CR,1,2\na,DX,2,4\n")
    alone = reads(tmp_path / "one.csv", only="mass")
    assert (alone.frame["arm"].unique().to_list(), alone.unused) == (["unaided"], ("modality",))


def test_boxes_are_calls_of_the_images_that_a_reader_read(tmp_path):
    read = reads(write(tmp_path / "train.csv", BOXES))
    known = ("cardiomegaly", "fracture", "lung_lesion", "no_finding")
    expected = {
        (r, i, f): "absent"
        for r, i in (("R1", "i1"), ("R2", "i1"), ("R1", "i2"), ("R2", "i2"), ("R3", "i2"))
        for f in known
    }
    present = (
        ("R1", "i1", "cardiomegaly"),
        ("R1", "i1", "lung_lesion"),
        ("R2", "i1", "no_finding"),
        ("R1", "i2", "fracture"),
        ("R3", "i2", "cardiomegaly"),
    )
    assert calls(read) == expected | dict.fromkeys(present, "present")
    assert set(read.frame["arm"]) == {"unaided"}
    assert set(read.frame["round"]) == {1}
    assert read.frame["score"].null_count() == read.frame.height
    assert read.unused == ("class_id",)
    assert notes(read) == {
        "boxes_are_calls": ("boxes", 6, "; ".join(known)),
        "classes_not_stated": ("classes", 1, "Calcification"),
    }


def test_a_class_that_the_study_states_is_read(tmp_path):
    words = findings.with_extra_findings(findings.load("chest"), ["Calcification", "Rib fracture < fracture"])
    read = reads(write(tmp_path / "train.csv", BOXES), vocabulary=words)
    assert calls(read)["R2", "i2", "calcification"] == "present"
    assert calls(read)["R1", "i2", "rib_fracture"] == "present"
    assert "fracture" not in set(read.frame["finding"])  # the study's own words go before the classes of VinDr-CXR
    assert "classes_not_stated" not in notes(read)


def test_boxes_by_place_and_size_with_arms(tmp_path):
    text = "case_id,finding,reader,arm,x,y,width,height\nc,edema,r,b,1,1,5,5\nc,,r,a,,,,\n"
    assert calls(reads(write(tmp_path / "r.csv", text + "d,edema,r,a,1,1,1,1\n"))) == {
        ("r", "c", "edema"): "absent",
        ("r", "d", "edema"): "present",
    }
    frame = reads(tmp_path / "r.csv").frame
    assert frame.filter(arm="b")["call"].to_list() == ["present"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "i3,Cardiomegaly,3,R1,,,,\n",
            r"a box \(four numbers\) in every row of a finding; found 1 rows without \(i3 R1 unaided Car",
        ),
        ("i3,Cardiomegally,3,R1,1,1,2,2\n", r"found 'Cardiomegally'. Did you mean 'cardiomegaly'\?.*--extra-findings"),
    ],
)
def test_a_box_table_that_may_mean_two_things_is_refused(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        reads(write(tmp_path / "train.csv", BOXES + row))


def test_boxes_of_unknown_classes_only_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match=r'found none \(Calcification, ILD\).*--extra-findings "Calcification"'):
        reads(write(tmp_path / "t.csv", HEAD + "i,ILD,1,R1,1,1,2,2\ni,Calcification,1,R1,1,1,2,2\n"))


def test_boxes_with_corners_are_regions_of_their_readers(tmp_path):
    words = findings.with_extra_findings(findings.load("chest"), ["Calcification", "Rib fracture"])
    read = layouts.regions(write(tmp_path / "train.csv", BOXES), vocabulary=words)
    found = read.frame.select("image_id", "finding", "source", "number", "x", "y", "width", "height").rows()
    assert found[:3] == [
        ("i1", "cardiomegaly", "R1", 1, 10, 10, 40, 30),
        ("i1", "lung_lesion", "R1", 1, 60, 60, 10, 10),
        ("i1", "lung_lesion", "R1", 2, 80, 60, 10, 10),
    ]
    assert (len(found), notes(read)) == (6, {"row_without_box": ("rows", 1, "")})


def test_a_file_without_readers_is_that_of_the_reader_it_is_named_for(tmp_path):
    path = write(tmp_path / "smith.csv", "Study,Edema,Mass\ns1,1,0\ns2,0,0\n")
    read = reads(path)
    assert set(read.frame["reader"]) == {"smith"}
    assert notes(read) == {"reader_is_file": ("rows", 2, "")}
    assert set(reads(path, name="Dr Jones").frame["reader"]) == {"Dr Jones"}
    long = write(tmp_path / "lee.csv", "case_id,finding,score\ns1,edema,4\ns1,mass,1\n")
    assert reads(long).frame.select("reader", "score").rows() == [("lee", 4.0), ("lee", 1.0)]


def test_a_name_is_the_arm_of_a_file_with_readers(tmp_path):
    path = write(tmp_path / "x.csv", "reader,case_id,Edema\nr1,c1,1\n")
    assert reads(path, name="aided").frame["arm"].to_list() == ["aided"]
    both = write(tmp_path / "y.csv", "reader,case_id,arm,Edema\nr1,c1,a,1\n")
    with pytest.raises(InputError, match="named 'aided'; found columns of both"):
        reads(both, name="aided")


def test_several_rows_of_a_case_without_a_column_of_readers_are_refused(tmp_path):
    """A file of five readers whose column has another name is not five reads of one reader."""
    path = write(tmp_path / "x.csv", "Doctor,case_id,Edema\na,c1,1\nb,c1,0\n")
    with pytest.raises(InputError, match=r"names the reader.*2 rows of cases that repeat \(c1\)"):
        reads(path)
    numbered = write(tmp_path / "y.csv", "case_id,round,Edema\nc1,1,1\nc1,2,0\n")
    assert reads(numbered).frame["round"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("3", "YES"), r"1 grades and 1 calls \(3 in edema, YES in edema\)"),
        (("0.4", "absent"), r"1 grades and 1 calls"),
    ],
)
def test_grades_and_calls_in_one_column_are_refused(tmp_path, cells, message):
    path = write(tmp_path / "r.csv", "reader,case_id,Edema\n" + "".join(f"r,c{i},{c}\n" for i, c in enumerate(cells)))
    with pytest.raises(InputError, match="calls or grades in a finding's column, not both; found " + message):
        reads(path)


@pytest.mark.parametrize(
    ("read", "text", "like"),
    [
        (layouts.labels, "case_id,Edema,Abnormal,fold\nc1,1,1,1\nc2,0,0,2\nc3,0,,3\n", ("Abnormal",)),
        (layouts.labels, "case_id,Edema,ILD,spacing\nc1,1,YES,0.139\nc2,0,NO,0.168\n", ("ILD",)),
        (layouts.predictions, "case_id,Edema,Abnormal,seconds\nc1,.1,.2,3\nc2,.3,.1,4\n", ("Abnormal",)),
        (reads, "case_id,reader,Edema,Other\nc1,r,1,YES\nc2,r,0,HEDGE\n", ("Other",)),
        (layouts.labels, "case_id,Edema,Sex,one\nc1,1,F,1\nc2,0,F,1\n", ()),
        (layouts.labels, "case_id,finding,state,source,flag\nc1,edema,1,a,1\nc2,edema,0,a,0\n", ()),
    ],
)
def test_a_column_that_looks_like_a_finding_is_told_from_others(tmp_path, read, text, like):
    made = read(write(tmp_path / "t.csv", text))
    assert made.findings_like == like
    assert set(like) <= set(made.unused)


def test_the_readers_of_four_findings_as_published(shared):
    read = reads(shared("real/readers") / "individual_readers.csv.gz")
    assert read.frame.height == 4 * 13_081
    assert read.frame["reader"].n_unique() == 22
    assert read.findings_like == ()
    assert read.unused == ("Patient ID", "Set ID")


def test_boxes_of_15_000_images_are_read_in_seconds(tmp_path):
    n = 15_000
    rows = pl.DataFrame({"image": range(n)}).join(pl.DataFrame({"r": range(3)}), how="cross")
    finding = pl.when(pl.col("image") % 3 == 0).then(pl.lit("Cardiomegaly")).otherwise(pl.lit("No finding"))
    frame = rows.select(
        pl.format("i{}", "image").alias("image_id"),
        finding.alias("class_name"),
        pl.format("R{}", "r").alias("rad_id"),
        *(
            pl.when(pl.col("image") % 3 == 0).then(v).alias(c)
            for c, v in zip(("x_min", "y_min", "x_max", "y_max"), (1, 1, 5, 5), strict=True)
        ),
    )
    frame.write_csv(tmp_path / "t.csv")
    made = reads(tmp_path / "t.csv").frame
    assert made.height == n * 3 * 2
    assert made.filter(finding="cardiomegaly", call="present").height == n
