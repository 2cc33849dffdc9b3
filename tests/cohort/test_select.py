import polars as pl
import pytest

from overread import tables
from overread.cohort import CohortConfig
from overread.cohort.select import draw, select
from overread.errors import InputError


def table(**columns):
    n = len(next(iter(columns.values())))
    base = {"image_id": [f"i{k}" for k in range(n)], "patient_id": [f"p{k}" for k in range(n)], "site": ["a"] * n}
    frame = tables.check(pl.DataFrame(base | columns), "images")
    return frame


def counts(flow, site=""):
    rows = pl.concat(flow).filter((pl.col("site") == site) & (pl.col("unit") == "images"))
    return [(r["step"], r["reason"], r["count"]) for r in rows.iter_rows(named=True)]


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
