import numpy as np
import polars as pl
import pytest
from PIL import Image

from overread.cohort import CohortConfig, build
from overread.cohort.cohort_duplicates import PAIRS, applied, find
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.pixel_store import Store
from overread.tables import Source, check, empty


def chest(seed, size=64):
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size))
    for side, weight in ((4, 60), (8, 40), (16, 25), (32, 15)):
        coarse = Image.fromarray(rng.normal(0, weight, (side, side)).astype(np.float32))
        total += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return np.clip(total + 128, 5, 250).astype(np.uint8)


@pytest.fixture
def held():
    """Nine pictures: three of one (two sites), two nearly one (two patients), two of one patient, two black ones."""
    one, other, third = chest(1), chest(2), chest(3)
    near = np.clip(other * 0.8 + 20, 0, 255).astype(np.uint8)
    pixels = np.stack([one, one, one, other, near, third, third, np.zeros_like(one), np.zeros_like(one)])
    images = pl.DataFrame(
        {
            "image_id": list("abcdefghi"),
            "case_id": [*"abcdef", "f", *"hi"],
            "patient_id": ["p1", "p2", "p3", "p4", "p5", "p6", "p6", "p8", "p9"],
            "site": ["n", "n", "s", "n", "n", "n", "n", "n", "n"],
            "part": [0] * 9,
            "row": list(range(9)),
        }
    ).with_columns(pl.col("part", "row").cast(pl.Int32))
    return check(images, "images"), Store(Recipe(64), (pixels,))


@pytest.mark.slow
def test_pairs_say_what_they_are_and_what_they_cross(held):
    pairs = find(*held)
    assert dict(pairs.schema) == PAIRS
    assert pairs.select("image_a", "image_b", "kind", "place").rows() == [
        ("d", "e", "nearly the same", "two patients of one site"),
        ("a", "b", "same pixels", "two patients of one site"),
        ("a", "c", "same pixels", "two sites"),
        ("f", "g", "same pixels", "one case"),
    ]
    near = pairs.row(0, named=True)
    assert near["similarity"] > 0.95
    assert near["correlation"] > 0.99


def test_the_order_of_rows_does_not_matter(held):
    images, store = held
    assert find(images.sample(fraction=1, shuffle=True, seed=2), store).equals(find(images, store))


def test_together_marks_groups_and_drop_keeps_the_first_of_each(held):
    images, store = held
    pairs = find(images, store)
    marked, notes = applied(images, pairs, "together")
    assert marked["near_dup_group"].to_list() == ["a", "a", "a", "d", "d", "f", "f", None, None]
    said = {r["reason"]: r["count"] for r in pl.concat(notes).filter(site="").iter_rows(named=True)}
    assert said == {
        "nearly the same pixels as another image, of another patient of the site": 2,
        "the same pixels as another image, at another site": 2,
        "the same pixels as another image, of another patient of the site": 2,
        "the same pixels as another image, of the same case": 2,
    }
    kept, flow = applied(images, pairs, "drop")
    assert kept["image_id"].to_list() == ["a", "d", "f", "h", "i"]
    left = {r["reason"]: r["count"] for r in flow[0].filter(site="", step="duplicates").iter_rows(named=True)}
    assert left == {"the same pixels as another image": 3, "nearly the same pixels as another image": 1}
    own = images.filter(pl.col("image_id") == "c").select("case_id")
    kept, _ = applied(images, pairs, "drop", labelled=own)
    assert kept["image_id"].to_list() == ["c", "d", "f", "h", "i"]  # the copy with labels stays


def test_refuse_names_the_worst_pairs_first(held):
    images, store = held
    with pytest.raises(InputError, match=r"found 4 pairs of duplicate images \(a = c \(two sites\), a = b"):
        applied(images, find(images, store), "refuse")
    assert applied(images, find(images, store).clear(), "refuse")[0].height == 9


def test_groups_of_the_source_are_united_and_never_dropped(held):
    images, store = held
    stated = images.with_columns(near_dup_group=pl.Series([None, None, "x", None, None, None, None, "x", "lone"]))
    marked, _ = applied(stated, find(images, store), "together")
    assert marked["near_dup_group"].to_list() == ["a", "a", "a", "d", "d", "f", "f", "a", "lone"]
    kept, _ = applied(stated, find(images, store), "drop")
    assert "h" in kept["image_id"].to_list()


def test_a_file_name_that_two_sites_share_is_noted(held):
    images, store = held
    paths = [
        "n/x1.png",
        "n/a.png",
        "s/c.png",
        "n/COVID-22.png",
        "n/e.png",
        "n/i/image.png",
        "n/k/image.png",
        "n/q.png",
        "n/r.png",
    ]
    images = images.with_columns(path=pl.Series(paths))
    other = images.filter(pl.col("image_id") == "c").with_columns(path=pl.lit("s\\covid-22.JPG"))
    images = pl.concat([images.filter(pl.col("image_id") != "c"), other])
    _, notes = applied(images, find(images, store), "together")
    said = {r["reason"]: r["examples"] for r in pl.concat(notes).filter(site="").iter_rows(named=True)}
    assert said["the file has the name of a file of another site"] == "c, d"
    same = images.with_columns(path=pl.when(pl.col("image_id").is_in(["a", "c"])).then(pl.lit("one.png")))
    _, notes = applied(same, find(same, store), "together")  # duplicates that the pixels show are noted as such only
    assert not any("file has the name" in r for r in pl.concat(notes)["reason"])


def test_two_days_of_one_patient_are_not_duplicates(monkeypatch, held):
    """Near pairs of one patient are listed from 0.995 on, of two patients as the search proposes them."""
    images, store = held
    of_one = images.with_columns(
        patient_id=pl.when(pl.col("image_id") == "e").then(pl.lit("p4")).otherwise("patient_id")
    )
    for correlation, expected in ((0.99, 0), (0.996, 1)):
        near = (np.array([[1, 2]]), np.array([0.9]), np.array([correlation]))  # d and e, copies of others left out
        monkeypatch.setattr("overread.cohort.cohort_duplicates.near_duplicates.find", lambda *_, near=near: near)
        assert find(images, store).filter(kind="nearly the same").height == 1
        assert find(of_one, store).filter(kind="nearly the same").height == expected


def test_small_pictures_are_compared_by_their_pixels_only():
    pixels = np.stack([chest(1, 32), chest(1, 32), np.clip(chest(1, 32) * 0.9, 0, 255).astype(np.uint8)])
    images = pl.DataFrame(
        {"image_id": list("abc"), "patient_id": list("abc"), "site": "n", "part": 0, "row": [0, 1, 2]}
    )
    pairs = find(check(images, "images"), Store(Recipe(32), (pixels,)))
    assert pairs.select("image_a", "image_b", "kind").rows() == [("a", "b", "same pixels")]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["together", "drop", "refuse"])
def test_one_word_governs_a_build(tmp_path, policy):
    for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        Image.fromarray(chest(seed, 80)).save(tmp_path / f"{name}.png")
    Image.fromarray(chest(1, 80)).save(tmp_path / "e.jpg", quality=70)
    Image.fromarray(chest(5, 80)).save(tmp_path / "f.png")
    rows = {
        "image_id": list("abcdef"),
        "patient_id": list("abcdef"),
        "site": ["n"] * 4 + ["s"] * 2,
        "path": ["a.png", "b.png", "c.png", "d.png", "e.jpg", "f.png"],
    }
    source = Source(check(pl.DataFrame(rows), "images"), empty("labels"))
    config = CohortConfig(recipe=Recipe(64), external_sites=("s",), duplicates=policy)
    if policy == "refuse":
        with pytest.raises(InputError, match=r"1 pairs of duplicate images \(a = e \(two sites\)\)"):
            build(source, tmp_path, tmp_path / "out", config)
        return
    cohort = build(source, tmp_path, tmp_path / "out", config)
    assert pl.read_parquet(tmp_path / "out" / "duplicates.parquet").select("image_a", "image_b").rows() == [("a", "e")]
    splits = dict(cohort.images.select("image_id", pl.col("split").cast(pl.String)).rows())
    if policy == "drop":
        assert set(splits) == set("abcdf")
    else:
        assert splits["a"] == splits["e"] == "test"  # the copy of an external picture is not learnt from


@pytest.mark.slow
def test_the_near_duplicates_that_nature_planted(shared, tmp_path):
    """3,336 public radiographs: the pair that their list names, and one inside a border that it does not; no other."""
    from overread import datasets

    root = shared("real/cxr/metadata.csv").parent
    columns = {"image_id": "image", "path": "image", "patient_id": "patient_id", "site": "source"}
    source = datasets.load("table", root, {"images": "metadata.csv", "columns": columns, "keep": ["near_dup_group"]})
    config = CohortConfig(recipe=Recipe(128, "pad"), fractions=(1, 0, 0))
    cohort = build(source, root, tmp_path / "out", config, workers=2)
    pairs = pl.read_parquet(tmp_path / "out" / "duplicates.parquet")
    truth = source.images.filter(pl.col("near_dup_group").is_duplicated() & pl.col("near_dup_group").is_not_null())
    bordered = tuple(
        f"images/cohen_covid/{name}.jpg"
        for name in ("pneumonia-7", "streptococcus-pneumoniae-pneumonia-temporal-evolution-1-day1")
    )
    assert pairs.select("image_a", "image_b").rows() == [bordered, tuple(truth["image_id"].sort())]
    assert cohort.images.height == 3336
