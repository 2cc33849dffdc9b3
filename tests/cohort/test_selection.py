import polars as pl
import pytest

from overread import tables
from overread.cohort import CohortConfig
from overread.cohort.selection import draw, exclusions, large_enough, reasons, select
from overread.errors import InputError


def table(**columns):
    n = len(next(iter(columns.values())))
    base = {"image_id": [f"i{k}" for k in range(n)], "patient_id": [f"p{k}" for k in range(n)], "site": ["a"] * n}
    frame = tables.check(pl.DataFrame(base | columns), "images")
    return frame


def counts(flow, site=""):
    rows = pl.concat(flow).filter((pl.col("site") == site) & (pl.col("unit") == "images"))
    return [(r["step"], r["reason"], r["count"]) for r in rows.iter_rows(named=True)]


def test_radiographs_of_the_chest_are_kept_by_default_and_what_is_not_stated_too():
    images = table(
        modality=["CR", "CT", None, "dx", "RG", "MG"], body_part=["CHEST", "CHEST", None, "HAND", "LEG", "HAND"]
    )
    kept, flow = select(images, CohortConfig())
    assert kept["image_id"].to_list() == ["i0", "i2"]
    assert counts(flow) == [
        ("read", "", 6),
        ("modality", "modality CT", 1), ("modality", "modality MG", 1), ("modality", "", 4),
        ("body part", "body part HAND", 1), ("body part", "body part LEG", 1), ("body part", "", 2),
    ]  # fmt: skip
    kept, _ = select(images, CohortConfig(modalities=("DX",), body_parts=("hand", "CHEST")))
    assert kept["image_id"].to_list() == ["i2", "i3"]
    kept, flow = select(images, CohortConfig(modalities=(), body_parts=()))
    assert counts(flow) == [("read", "", 6)]
    assert counts(select(images.drop("modality", "body_part"), CohortConfig())[1]) == [("read", "", 6)]


def test_notes_of_one_image_are_counted_one_by_one():
    images = table(source_note=["b; a", "a", None])
    rows = reasons("noted", images, "source_note").filter(site="").select("reason", "count", "examples").rows()
    assert rows == [("a", 2, "i0, i1"), ("b", 1, "i0")]


def test_the_flow_adds_up_by_hand():
    images = table(
        view=["PA", "AP", "LATERAL", "UNKNOWN", "PA", "PA"],
        age_years=[50, 17, 60, 60, None, 70],
        patient_id=["p", "q", "r", "s", "t", "u"],
        site=["a", "a", "a", "b", "b", "b"],
    )
    config = CohortConfig(views=("PA", "AP"), ages=(18, 100), exclude={"patient_id": ("u",)})
    kept, flow = select(images, config)
    assert kept["image_id"].to_list() == ["i0"]
    assert counts(flow) == [
        ("read", "", 6),
        ("view", "view LATERAL", 1),
        ("view", "view UNKNOWN", 1),
        ("view", "", 4),
        ("age", "age not stated", 1),
        ("age", "younger than 18", 1),
        ("age", "", 2),
        ("exclusion list", "patient_id on the exclusion list", 1),
        ("exclusion list", "", 1),
    ]
    assert counts(flow, "b") == [
        ("read", "", 3),
        ("view", "view UNKNOWN", 1),
        ("view", "", 2),
        ("age", "age not stated", 1),
        ("age", "", 1),
        ("exclusion list", "patient_id on the exclusion list", 1),
    ]
    examples = pl.concat(flow).filter(pl.col("reason") == "view LATERAL")["examples"]
    assert examples.unique().to_list() == ["i2"]
    tables.check(pl.concat(flow), "flow")


def test_at_every_step_what_was_left_out_is_the_difference(hospital):
    images = hospital("north", 40, write=False).images
    config = CohortConfig(views=("PA", "AP"), ages=(20, None), one_per="patient", seed=3)
    _, flow = select(images, config)
    rows = pl.concat(flow).filter((pl.col("site") == "") & (pl.col("unit") == "images"))
    left = 0
    for step in rows["step"].unique(maintain_order=True):
        here = rows.filter(pl.col("step") == step)
        now = here.filter(pl.col("reason") == "")["count"].item()
        if step != "read":
            assert now == left - here.filter(pl.col("reason") != "")["count"].sum()
        left = now


def test_one_per_patient_is_a_draw_by_the_seed_whatever_the_order(hospital):
    images = hospital("north", 60, write=False).images
    one, two, other = (
        select(frame, CohortConfig(one_per="patient", seed=seed))[0]
        for frame, seed in ((images, 1), (images.sample(fraction=1, shuffle=True, seed=9), 1), (images, 2))
    )
    assert one.height == images["patient_id"].n_unique()
    assert set(one["image_id"]) == set(two["image_id"])
    assert set(one["image_id"]) != set(other["image_id"])


def test_the_draw_is_even():
    """Of 4,000 draws among two, the share of the first is within 4 standard errors of a half."""
    first = sum(draw(5, f"{k}-a") < draw(5, f"{k}-b") for k in range(4000))
    assert abs(first / 4000 - 0.5) < 4 * 0.5 / 4000**0.5


def test_a_step_that_leaves_nothing_is_said():
    with pytest.raises(InputError, match=r"step 'view': expected images to be left; found none \(2: view PA\)"):
        select(table(view=["PA", "PA"]), CohortConfig(views=("LATERAL",)))


def test_one_per_patient_by_each_rule():
    images = table(
        patient_id=["p", "p", "p", "q", "q", "r"],
        acquired=[None, "2020-05-02", "2019-01-01", "2021-01-01", "2021-01-01", None],
        rows=[900, 500, 500, 500, None, 10],
        columns=[900, 500, 500, 500, 500, 10],
    )
    kept = {
        rule: select(images, CohortConfig(one_per="patient", rule=rule))[0]["image_id"].to_list()
        for rule in ("first", "last", "largest")
    }
    assert kept == {"first": ["i2", "i3", "i5"], "last": ["i1", "i3", "i5"], "largest": ["i0", "i3", "i5"]}


def test_what_the_rule_cannot_go_by_is_noted_and_the_reason_is_said():
    images = table(patient_id=["p", "p", "q"], acquired=[None, "2020-05-02", None])
    _, flow = select(images, CohortConfig(one_per="patient", rule="first"))
    assert counts(flow)[1:] == [
        ("one per patient", "another image of the patient is earlier", 1),
        ("one per patient", "", 2),
        ("noted", "no date: placed last by the rule 'first'", 1),
    ]


def test_small_images_go_where_their_size_is_known_and_the_others_once_they_are_read():
    images = table(rows=[400, 600, None], columns=[600, 600, None])
    config = CohortConfig(minimum_size=(500, 500))
    kept, flow = select(images, config)
    assert kept["image_id"].to_list() == ["i1", "i2"]
    assert counts(flow)[1:] == [("size", "fewer than 500 rows or 500 columns", 1), ("size", "", 2)]
    read = kept.with_columns(pl.Series("rows", [600, 300], pl.Int32), pl.Series("columns", [600, 300], pl.Int32))
    last, more = large_enough(read, config)
    assert last["image_id"].to_list() == ["i1"]
    assert counts(more) == [("size as read", "fewer than 500 rows or 500 columns", 1), ("size as read", "", 1)]
    assert large_enough(last, config) == (last, [])
    with pytest.raises(InputError, match="none: all 1 are smaller"):
        large_enough(read.tail(1), config)


def test_exclusion_files_say_why_and_names_that_are_not_there_are_noted(tmp_path):
    one, two = tmp_path / "broken.csv", tmp_path / "patients.csv"
    one.write_text("image_id,reason\ni0,lead apron\ni1,\ni77,lost\n")
    two.write_text("patient_id\np2\np0\n")
    kept, flow = select(table(age_years=[1, 2, 3, 4]), CohortConfig(exclude_files=(str(one), str(two))))
    assert kept["image_id"].to_list() == ["i3"]
    assert counts(flow)[1:] == [
        ("exclusion list", "excluded: lead apron", 1),
        ("exclusion list", "image_id on the exclusion list", 1),
        ("exclusion list", "patient_id on the exclusion list", 1),
        ("exclusion list", "", 1),
    ]
    note = ("noted", "image_id", "on the exclusion list broken.csv, not here", 1, "i77")
    assert pl.concat(flow).select("step", "unit", "reason", "count", "examples").row(-1) == note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nx\n", "one column of image_id, case_id or patient_id; found columns name"),
        ("image_id,patient_id\na,b\n", "found image_id, patient_id"),
        ("image_id,reason\n,why\n", "a name in every row of 'image_id'; found 1 rows without"),
    ],
)
def test_exclusion_files_that_name_nobody_are_refused(tmp_path, text, message):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        exclusions(path)


def test_padded_names_of_an_exclusion_file_exclude_and_are_counted(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("image_id\ni1 \n\u00a0i2\nI3\n", encoding="utf-8")
    config = CohortConfig(exclude_files=(str(path),), exclude={"patient_id": ("p0 ",)})
    kept, flow = select(table(age_years=[1, 2, 3, 4]), config)
    assert kept["image_id"].to_list() == ["i3"]
    reasons = pl.concat(flow).filter(pl.col("step") == "noted").sort("unit")["reason"].to_list()
    assert reasons[0].startswith("list.csv: 2 values of 'image_id' had white space around them: removed ('i1 '")
    assert "not here: 1 of 1 differs from one there only in letter case" in reasons[1]
