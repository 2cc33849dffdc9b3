import polars as pl
import pytest

from overread import runs
from overread.cohort import CohortConfig, build
from overread.cohort.patient_split import split, split_hash
from overread.cohort.site_folds import leave_one_site_out, splits
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe


def test_every_site_is_test_once_and_the_others_are_split(hospital):
    north, south = hospital("north", 30, write=False), hospital("south", 20, write=False)
    images, labels = (pl.concat([getattr(north, t), getattr(south, t)]) for t in ("images", "labels"))
    made = leave_one_site_out(images, labels, CohortConfig(seed=1))
    assert list(made) == ["north", "south"]
    for site, frame in made.items():
        assert frame.height == images.height
        held = frame.group_by("site").agg(pl.col("split").cast(pl.String).unique().sort())
        assert dict(held.rows()) == {site: ["test"], ({"north", "south"} - {site}).pop(): ["test", "train", "tune"]}
        whole, _ = split(images, labels, CohortConfig(seed=1, external_sites=(site,)))
        assert split_hash(frame) == split_hash(whole)


@pytest.mark.slow
def test_each_file_is_the_split_of_a_cohort_of_its_own(hospital, tmp_path):
    (tmp_path / "söuth").mkdir()
    sources = [hospital("north", 8), hospital("söuth/1", 6)]
    config = CohortConfig(recipe=Recipe(8), seed=2)
    build(sources, [tmp_path, tmp_path], tmp_path / "cohort", config)
    hashes = splits(tmp_path / "cohort", tmp_path / "splits", CohortConfig(seed=2))
    assert sorted(p.name for p in (tmp_path / "splits").iterdir()) == [
        "north.parquet",
        "run.json",
        "south-1.parquet",
    ]
    notes = runs.read(tmp_path / "splits")["notes"]
    assert notes["split_hash"] == hashes
    assert notes["file"] == {"north": "north.parquet", "söuth/1": "south-1.parquet"}
    again = CohortConfig(recipe=Recipe(8), split_file=str(tmp_path / "splits" / "north.parquet"))
    made = build(sources, [tmp_path, tmp_path], tmp_path / "second", again)
    assert split_hash(made.images) == hashes["north"]


def test_one_site_or_a_given_split_is_refused(hospital):
    north = hospital("north", 5, write=False)
    with pytest.raises(InputError, match=r"images of two sites or more; found 1 \(north\)"):
        leave_one_site_out(north.images, north.labels, CohortConfig())
    two = pl.concat([north.images, hospital("south", 5, write=False).images])
    with pytest.raises(InputError, match="one that is given"):
        leave_one_site_out(two, north.labels, CohortConfig(split_column="split"))
