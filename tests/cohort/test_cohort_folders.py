"""A cohort replaces an earlier cohort and nothing else, wherever its build is killed."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from overread import runs, tables
from overread.cohort import CohortConfig, build, cohort_folders, open_cohort
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe

pytestmark = pytest.mark.slow

CONFIG = CohortConfig(recipe=Recipe(8), seed=1)


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        "images.parquet",
        "labels.parquet",
        "pixels/mine.npy",
        "pixels/part-00000.npy",
        "run.json",
        "refused.csv",
        "unreadable.csv",
        ".building/mine",
        ".finished/mine",
    ],
)
def test_files_that_no_cohort_wrote_are_refused_and_stay(hospital, tmp_path, name):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    with pytest.raises(InputError, match="other files that it would replace"):
        build(hospital("north", 8), tmp_path, out, CONFIG)
    assert tree(out) == {name: b"mine"}


def test_other_files_beside_a_cohort_stay(hospital, tmp_path):
    out = tmp_path / "out"
    source = hospital("north", 8)
    (out / "notes").mkdir(parents=True)
    (out / "notes" / "a.txt").write_text("mine")
    build(source, tmp_path, out, CONFIG)
    build(source, tmp_path, out, CohortConfig(recipe=Recipe(8), seed=2))
    assert (out / "notes" / "a.txt").read_text() == "mine"


def test_a_file_among_the_pixels_is_named_and_stays(hospital, tmp_path):
    out = tmp_path / "out"
    source = hospital("north", 8)
    build(source, tmp_path, out, CONFIG)
    (out / "pixels" / "mine.txt").write_text("mine")
    before = tree(out)
    with pytest.raises(InputError, match=r"pixels alone; found 1 others \(mine\.txt\)"):
        build(source, tmp_path, out, CONFIG)
    assert tree(out) == before


@pytest.mark.parametrize("name", ["pixels", ".building", ".finished", "images.parquet"])
def test_a_link_that_leads_elsewhere_is_not_followed(hospital, tmp_path, name):
    out, precious = tmp_path / "out", tmp_path / "precious"
    for folder in (out, precious):
        folder.mkdir()
    (precious / "part-00000.npy").write_text("mine")
    (out / name).symlink_to(precious)
    with pytest.raises(InputError, match="link"):
        build(hospital("north", 8), tmp_path, out, CONFIG)
    assert tree(precious) == {"part-00000.npy": b"mine"}
    assert sorted(os.listdir(out)) == [name]


@pytest.mark.parametrize("killed_at", range(1, 16))
def test_a_kill_while_it_is_put_in_place_leaves_the_rest_to_the_next_build(hospital, tmp_path, monkeypatch, killed_at):
    out, steps = tmp_path / "out", [0]
    source = hospital("north", 8)
    build(source, tmp_path, out, CONFIG)
    later = CohortConfig(recipe=Recipe(16), seed=2)
    whole = build(source, tmp_path, tmp_path / "whole", later)

    class Tables:
        def __getattr__(self, name):
            return getattr(tables, name)

        def move(self, *paths):
            self._step()
            tables.move(*paths)

        def remove(self, path):
            self._step()
            tables.remove(path)

        def _step(self):
            steps[0] += 1
            if steps[0] == killed_at:
                raise KeyboardInterrupt

    monkeypatch.setattr(cohort_folders, "tables", Tables())
    try:
        build(source, tmp_path, out, later)
    except KeyboardInterrupt:
        monkeypatch.undo()
        assert (
            runs.read(out)["status"] == "complete" if (out / "run.json").is_file() else not cohort_folders.is_whole(out)
        )
        build(source, tmp_path, out, later)
    made = open_cohort(out)
    assert made.images.equals(whole.images)
    assert np.array_equal(made.store().parts[0], whole.store().parts[0])
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in (tmp_path / "whole").iterdir())


@pytest.mark.parametrize(
    "path", ["../out.png", "/etc/hostname", "link/x.png", "a/../../x.png", "file.png", "a\0b.png", "link/../link/x.png"]
)
def test_paths_that_lead_out_of_the_folder_are_refused_unless_allowed(hospital, tmp_path, path):
    root = tmp_path / "root"
    root.mkdir()
    source = hospital("north", 8, write=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.png").write_bytes(b"")
    (root / "link").symlink_to(elsewhere)
    (root / "file.png").symlink_to(elsewhere / "x.png")
    images = source.images.head(1).with_columns(path=pl.lit(path))
    one = replace(source, images=images, labels=source.labels.clear())
    with pytest.raises(InputError, match=r"1 paths that lead out of it.*--allow-outside"):
        build(one, root, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_allowed_paths_elsewhere_are_read(hospital, tmp_path):
    source = hospital("north", 8)
    root = tmp_path / "root"
    root.mkdir()
    images = source.images.with_columns(path=pl.format("../{}", "path"))
    made = build(replace(source, images=images), root, tmp_path / "out", CONFIG, allow_outside=True)
    assert made.images.height == source.images.height
