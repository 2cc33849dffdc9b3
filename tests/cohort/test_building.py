import errno
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from PIL import Image

from overread import integrity, runs
from overread.cohort import CohortConfig, build, open_cohort
from overread.cohort.site_folds import splits
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store import decode_worker, pixel_store
from overread.tables import Source

pytestmark = pytest.mark.slow

RECIPE = Recipe(8, "pad")
CONFIG = CohortConfig(recipe=RECIPE, external_sites=("south",), seed=1)


@pytest.fixture
def two(hospital):
    return [hospital("north", 30, seed=1), hospital("south", 10, seed=2)]


def contents(folder):
    """Bytes of every file but run.json, which holds times."""
    paths = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "run.json")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def test_the_folder_holds_what_it_should(tmp_path, two):
    told = []
    cohort = build(two, tmp_path, tmp_path / "out", CONFIG, progress=lambda *step: told.append(step))
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {
        "images.parquet",
        "labels.parquet",
        "regions.parquet",
        "reads.parquet",
        "flow.parquet",
        "splits.parquet",
        "unreadable.csv",
        "duplicates.parquet",
        "pixels",
        "run.json",
    }
    images = cohort.images
    n = sum(s.images.height for s in two)
    assert images.height == n
    assert ("pixels", n, n) in told
    assert told[-1] == ("duplicates", n, n)
    assert images["sha256"].null_count() == 0
    assert set(images.filter(pl.col("site") == "south")["split"].cast(pl.String)) == {"test"}
    splits = pl.read_parquet(tmp_path / "out/splits.parquet")
    assert splits.columns == ["patient_id", "site", "split"]
    assert splits.height == images["patient_id"].n_unique()
    record = json.loads((tmp_path / "out/run.json").read_text())
    assert record["status"] == "complete"
    assert record["outputs"]["splits.parquet"]["sha256"] == integrity.file_hash(tmp_path / "out/splits.parquet")
    opened = cohort.store()
    assert opened.recipe == RECIPE
    assert len(opened) == n
    pixels = opened.gather(images["part"].to_numpy(), images["row"].to_numpy())
    for path, values in zip(images["path"][:5], pixels, strict=False):
        np.testing.assert_array_equal(values, decode_worker.read_image(tmp_path / path, RECIPE))


def test_it_is_the_same_whatever_the_order_of_rows_and_the_workers(tmp_path, two):
    shuffled = [Source(s.images.sample(fraction=1, shuffle=True, seed=3), s.labels.reverse()) for s in two][::-1]
    build(two, tmp_path, tmp_path / "one", CONFIG)
    build(shuffled, tmp_path, tmp_path / "two", CONFIG, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_unreadable_images_are_refused_all_at_once_and_nothing_is_written(tmp_path, two):
    bad = two[0].images["path"][:2].to_list()
    (tmp_path / bad[0]).write_bytes(b"")
    (tmp_path / bad[1]).write_bytes(b"%PDF-1.4")
    with pytest.raises(InputError, match=r"found 2 of \d+ \(.* %\) that cannot be used") as caught:
        build(two, tmp_path, tmp_path / "out", CONFIG)
    assert all(path in str(caught.value) for path in bad)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".building", "refused.csv"]
    assert sorted(pl.read_csv(tmp_path / "out/refused.csv")["path"]) == sorted(bad)
    with pytest.raises(InputError, match="found none"):
        open_cohort(tmp_path / "out")


def test_skipped_images_are_counted_and_listed(tmp_path, two):
    bad = two[0].images["path"][:2].to_list()
    (tmp_path / bad[0]).write_bytes(b"")
    (tmp_path / bad[1]).unlink()
    cohort = build(two, tmp_path, tmp_path / "out", CohortConfig(recipe=RECIPE, max_unreadable=0.1))
    listed = pl.read_csv(tmp_path / "out/unreadable.csv")
    assert listed["path"].to_list() == sorted(bad)
    assert cohort.images.height == sum(s.images.height for s in two) - 2
    step = cohort.flow.filter((pl.col("step") == "readable") & (pl.col("site") == "") & (pl.col("unit") == "images"))
    assert {r["reason"]: r["count"] for r in step.iter_rows(named=True)} == {
        "unreadable: an empty file (0 bytes)": 1,
        "unreadable: no file there": 1,
        "": cohort.images.height,
    }
    assert not set(cohort.labels["case_id"]) & set(listed["image_id"])


def test_what_is_odd_and_kept_is_noted(tmp_path, two):
    north = two[0]
    first, second = north.images["image_id"][:2]
    odd = north.images.with_columns(
        source_note=pl.when(pl.col("image_id") == second).then(pl.lit("view 'x' is none of PA, AP, LATERAL: UNKNOWN"))
    )
    labels = pl.concat(
        [north.labels.filter(pl.col("case_id") != first), north.labels.head(1).with_columns(case_id=pl.lit("z"))]
    )
    config = CohortConfig(recipe=RECIPE, exclude={"patient_id": ("nobody",)})
    flow = build([Source(odd, labels), two[1]], tmp_path, tmp_path / "out", config).flow
    noted = flow.filter((pl.col("step") == "noted") & (pl.col("site") == ""))
    assert {r["reason"]: (r["count"], r["examples"]) for r in noted.iter_rows(named=True)} == {
        "view 'x' is none of PA, AP, LATERAL: UNKNOWN": (1, second),
        "no label": (1, first),
        "labels of a case without image": (1, "z"),
        "on the exclusion list, not in the source": (1, "nobody"),
    }


def test_pictures_without_contrast_are_refused_or_counted_in_the_flow(tmp_path, two):
    first, second, third = two[0].images["path"][:3]
    with Image.open(tmp_path / first) as image:
        size = image.size
    mask = Image.linear_gradient("L").resize(size).point(lambda v: 255 if v > 99 else 0)
    Image.new("L", size).save(tmp_path / first)
    mask.save(tmp_path / second)
    mask.convert("RGB").save(tmp_path / third)
    with pytest.raises(InputError, match=r"a radiograph; found one grey value \(0 of 255\) all over"):
        build(two, tmp_path, tmp_path / "out", CohortConfig(recipe=RECIPE))
    flow = build(two, tmp_path, tmp_path / "out", CohortConfig(recipe=RECIPE, max_unreadable=0.1)).flow
    counts = {(r["step"], r["reason"]): r["count"] for r in flow.filter(pl.col("site") == "").iter_rows(named=True)}
    assert counts["readable", "unreadable: one grey value (0 of 255) all over"] == 1
    assert counts["noted", "the picture has fewer than 16 grey values"] == 2
    assert counts["noted", "made one grey plane: colour"] == 1


def test_reads_and_notes_of_a_source_reach_the_cohort(tmp_path, two):
    north = two[0]
    kept, gone = north.images["case_id"][:2]
    answers = pl.DataFrame(
        {
            "reader": ["r1", "r1", "r2"],
            "case_id": [kept, gone, kept],
            "finding": ["edema"] * 3,
            "arm": ["unaided"] * 3,
            "call": ["present", "absent", "uncertain"],
        }
    )
    said = Source(north.images, north.labels, reads=answers, notes=("A looks whole, but is not",))
    config = CohortConfig(recipe=RECIPE, exclude={"case_id": (gone,)})
    cohort = build([said, two[1]], tmp_path, tmp_path / "out", config)
    assert cohort.reads.select("reader", "case_id", "call").rows() == [
        ("r1", kept, "present"),
        ("r2", kept, "uncertain"),
    ]
    lost = cohort.flow.filter(reason="of cases that were left out").select("unit", "count").rows()
    assert lost == [("labels", north.labels.filter(pl.col("case_id") == gone).height), ("reads", 1)]
    row = cohort.flow.filter(unit="sources")
    assert row.select("step", "reason", "count").rows() == [("noted", "A looks whole, but is not", 1)]
    with pytest.raises(InputError, match="source 1, reads: expected a column 'arm'"):
        build(Source(north.images, north.labels, reads=answers.drop("arm")), tmp_path, tmp_path / "no", config)


def test_an_old_cohort_survives_a_failure_and_is_replaced_as_a_whole(tmp_path, two, monkeypatch):
    build(two, tmp_path, tmp_path / "out", CONFIG)
    before = contents(tmp_path / "out")

    def full(path, frame=None):
        raise OSError(errno.ENOSPC, "No space left on device")

    real = pl.DataFrame.write_parquet
    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(InputError, match="free space on the disk; found a full disk"):
        build(two[:1], tmp_path, tmp_path / "out", CohortConfig(recipe=RECIPE))
    after = {k: v for k, v in contents(tmp_path / "out").items() if not k.startswith(".building")}
    assert after == before
    assert open_cohort(tmp_path / "out").images.height == sum(s.images.height for s in two)
    monkeypatch.setattr(pl.DataFrame, "write_parquet", real)
    build(two[:1], tmp_path, tmp_path / "out", CohortConfig(recipe=RECIPE))
    build(two[:1], tmp_path, tmp_path / "fresh", CohortConfig(recipe=RECIPE))
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_another_seed_does_not_read_the_images_again(tmp_path, two, monkeypatch):
    build(two, tmp_path, tmp_path / "out", CONFIG)
    monkeypatch.setattr(pixel_store, "made_in_order", lambda parts, *_, **__: iter_nothing(list(parts)))
    cohort = build(two, tmp_path, tmp_path / "out", CohortConfig(recipe=RECIPE, external_sites=("south",), seed=2))
    assert len(cohort.store()) == cohort.images.height


def iter_nothing(portions):
    assert not portions
    yield from ()


def test_ctrl_c_leaves_the_old_cohort_and_a_state_that_goes_on(tmp_path, two, monkeypatch):
    monkeypatch.setattr(pixel_store, "_PART_BYTES", 8 * 8 * 10)

    def stop(what, done, total):
        if done > 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(two, tmp_path, tmp_path / "out", CONFIG, progress=stop)
    assert json.loads((tmp_path / "out/.building/run.json").read_text())["status"] == "interrupted"
    kept = (tmp_path / "out/.building/pixels/part-00000.npy").stat().st_ino
    build(two, tmp_path, tmp_path / "out", CONFIG)
    assert os.stat(tmp_path / "out/pixels/part-00000.npy").st_ino == kept
    build(two, tmp_path, tmp_path / "fresh", CONFIG)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_a_split_that_cuts_patients_is_refused_before_the_long_work(tmp_path, two):
    images = two[0].images
    word = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("test"))
    cut = Source(images.with_columns(given=word), two[0].labels)
    with pytest.raises(InputError, match="every patient in one split"):
        build(cut, tmp_path, tmp_path / "out", CohortConfig(recipe=RECIPE, split_column="given"))
    assert not (tmp_path / "out").exists()


def test_the_four_public_sources(tmp_path, shared):
    """Three images of each: all are read, none is black, the lungs lie in the middle."""
    from overread import datasets

    root = shared("real/cxr/metadata.csv").parent
    columns = {"image_id": "image", "path": "image", "patient_id": "patient_id", "site": "source", "view": "view"}
    sources = [
        datasets.load("table", root, {"images": "metadata.csv", "columns": columns, "where": {"source": site}})
        for site in ("nih", "guangzhou", "cohen_covid", "tbx11k")
    ]
    few = [Source(s.images.sample(3, seed=1), s.labels) for s in sources]
    cohort = build(few, [root] * 4, tmp_path / "out", CohortConfig(recipe=Recipe(64, "pad")))
    pixels = cohort.store().gather(cohort.images["part"].to_numpy(), cohort.images["row"].to_numpy())
    assert pixels.shape == (12, 64, 64)
    assert (pixels.reshape(12, -1).std(1) > 20).all()


PROGRAM = """
import pickle, sys
from overread.cohort import CohortConfig, build
from overread.images.store import pixel_store
from overread.images.recipe.pixel_recipe import Recipe

if __name__ == "__main__":
    pixel_store._PART_BYTES = 8 * 8 * 10
    sources = pickle.loads(open("sources.pickle", "rb").read())
    config = CohortConfig(recipe=Recipe(8, "pad"), external_sites=("south",), seed=1)
    build(sources, ".", sys.argv[1], config, workers=2, progress=lambda what, done, total: print(done, flush=True))
"""


def test_a_build_killed_again_and_again_loses_a_part_at_most_and_ends_with_the_same_bytes(tmp_path, two):
    (tmp_path / "sources.pickle").write_bytes(pickle.dumps(two))
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "program.py"]
    whole = subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True, text=True)
    total = int(whole.stdout.split()[-1])
    before = 0
    for moment in (5, 25, 45, total):  # images done; at `total` the tables are being written
        process = subprocess.Popen([*command, "killed"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        done = int(process.stdout.readline())
        assert done >= before - 10  # what was done is there again, but for a part
        while done < moment:
            done = int(process.stdout.readline())
        process.kill()
        process.communicate()
        before = done
    subprocess.run([*command, "killed"], cwd=tmp_path, check=True, capture_output=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["labels.parquet", "splits.parquet", "images.parquet", "pixels/part-00000.npy"])
def test_a_cohort_that_was_altered_is_not_opened(tmp_path, two, name):
    build(two, tmp_path, tmp_path / "out", CONFIG)
    open_cohort(tmp_path / "out")
    path = tmp_path / "out" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: changed"):
        open_cohort(tmp_path / "out")
    path.unlink()
    with pytest.raises(InputError, match=path.name):
        open_cohort(tmp_path / "out")


def test_images_that_a_run_wrote_and_that_were_altered_since_are_refused(tmp_path, two):
    with runs.start(tmp_path, "deidentify", config={}) as run:
        for path in two[0].images["path"]:
            run.output(tmp_path / path)
    (tmp_path / "run.json").rename(tmp_path / "kept.json")
    (tmp_path / "run.json").write_text('{"of": "another program"}')
    build(two, tmp_path, tmp_path / "out", CONFIG)
    (tmp_path / "kept.json").rename(tmp_path / "run.json")
    build(two, tmp_path, tmp_path / "out", CONFIG)
    first = tmp_path / two[0].images["path"][0]
    first.write_bytes((tmp_path / two[0].images["path"][1]).read_bytes())
    with pytest.raises(InputError, match=f"{first.name}: changed"):
        build(two, tmp_path, tmp_path / "out", CONFIG)


def test_a_list_of_splits_that_a_run_wrote_and_that_was_altered_since_is_refused(tmp_path, two):
    build(two, tmp_path, tmp_path / "out", CONFIG)
    splits(tmp_path / "out", tmp_path / "lists", CohortConfig(recipe=RECIPE, seed=1))
    given = CohortConfig(recipe=RECIPE, split_file=str(tmp_path / "lists/north.parquet"))
    build(two, tmp_path, tmp_path / "again", given)
    pl.read_parquet(given.split_file).with_columns(split=pl.lit("train")).write_parquet(given.split_file)
    with pytest.raises(InputError, match=r"north\.parquet: changed"):
        build(two, tmp_path, tmp_path / "again", given)


def test_a_cohort_built_again_over_altered_pixels_notices(tmp_path, two):
    build(two, tmp_path, tmp_path / "out", CONFIG)
    part = tmp_path / "out/pixels/part-00000.npy"
    state = part.stat()
    np.save(part, 255 - np.load(part))
    os.utime(part, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(InputError, match=r"part-00000\.npy: changed"):
        build(two, tmp_path, tmp_path / "out", CONFIG)
