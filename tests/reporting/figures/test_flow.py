import polars as pl

from overread import tables
from overread.reporting.figures.flow import stages


def flow(reasons):
    rows = [("read", "", 100), *(("exclusion list", why, n) for why, n in reasons), ("exclusion list", "", 40)]
    columns = ("step", "reason", "count")
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(unit=pl.lit("images"), site=pl.lit(""))
    return tables.check(frame, "flow")


def test_a_box_says_what_was_left_out_for_which_reason():
    made = stages(flow([("excluded: lead apron", 3), ("patient_id on the exclusion list", 57)]))
    assert [(s.title, s.kept, s.left) for s in made] == [
        ("Read from the sources", ("100 images",), ()),
        (
            "Exclusion list",
            ("40 images",),
            ("3 images: excluded: lead apron", "57 images: patient_id on the exclusion list"),
        ),
    ]


def test_a_great_many_reasons_are_the_commonest_and_the_sum_of_the_others():
    left = stages(flow([(f"reason {k}", k) for k in range(1, 13)]))[1].left
    assert left[0] == "12 images: reason 12"
    assert left[-2] == "4 images: reason 4"
    assert left[-1] == "6 images: 3 other reasons, see the flow table"  # 3 + 2 + 1
    assert len(left) == 10
