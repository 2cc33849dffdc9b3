import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from PIL import Image

from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store import pixel_store
from overread.images.store.decode_worker import read_image
from overread.images.store.pixel_store import build, open_store

RECIPE = Recipe(16, "pad")


@pytest.fixture
def images(tmp_path):
    """40 small radiographs and their table."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for i in range(40):
        Image.fromarray(rng.integers(0, 255, (30, 20 + i), dtype=np.uint8)).save(tmp_path / "in" / f"{i}.png")
    return pl.DataFrame({"image_id": [f"i{i}" for i in range(40)], "path": [f"{i}.png" for i in range(40)]})


def parts(folder):
    return {p.name: p.read_bytes() for p in sorted((folder / "pixels").iterdir())}


def small_parts(monkeypatch):
    monkeypatch.setattr(pixel_store, "_PART_BYTES", 16 * 16 * 15)  # 15 images each


def test_every_image_is_where_the_table_says(tmp_path, images, monkeypatch):
    small_parts(monkeypatch)
    made, bad = build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    opened = open_store(tmp_path / "out")
    assert bad.height == 0
    assert len(opened) == 40
    assert made["part"].to_list() == [0] * 15 + [1] * 15 + [2] * 10
    assert made.select("rows", "columns").row(3) == (30, 23)
    shuffled = made.sample(40, shuffle=True, seed=1)
    pixels = opened.gather(shuffled["part"].to_numpy(), shuffled["row"].to_numpy())
    for path, values in zip(shuffled["path"], pixels, strict=True):
        np.testing.assert_array_equal(values, read_image(tmp_path / "in" / path, RECIPE))


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_workers(tmp_path, images, monkeypatch):
    small_parts(monkeypatch)
    told = []
    build(images, tmp_path / "in", tmp_path / "one", RECIPE)
    build(images, tmp_path / "in", tmp_path / "two", RECIPE, workers=2, progress=lambda a, b: told.append((a, b)))
    assert parts(tmp_path / "one") == parts(tmp_path / "two")
    assert told[0] == (0, 40)
    assert told[-1] == (40, 40)
    assert [a for a, _ in told] == sorted(a for a, _ in told)


def test_parts_that_are_there_are_kept_and_stale_ones_made_again(tmp_path, images, monkeypatch):
    small_parts(monkeypatch)
    build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out/pixels").glob("*.npy")}
    (tmp_path / "out/pixels/part-00001.npy").unlink()
    Image.linear_gradient("L").resize((9, 20)).point(lambda v: v * 77 // 255).save(tmp_path / "in/39.png")
    made, _ = build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    now = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out/pixels").glob("*.npy")}
    assert now["part-00000.npy"] == times["part-00000.npy"]
    assert now["part-00002.npy"] != times["part-00002.npy"]
    assert 60 < open_store(tmp_path / "out").gather(made["part"][39:], made["row"][39:]).max() <= 77
    build(images.head(5), tmp_path / "in", tmp_path / "out", RECIPE)
    assert len(open_store(tmp_path / "out")) == 5


def test_all_unreadable_images_are_said_at_once(tmp_path, images):
    folder = tmp_path / "in"
    (folder / "3.png").write_bytes(b"")
    (folder / "5.png").write_bytes(b"%PDF-1.4")
    (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:200])
    (folder / "9.png").unlink()
    with pytest.raises(InputError) as caught:
        build(images, folder, tmp_path / "out", RECIPE)
    message = str(caught.value)
    assert "expected every image to be read; found 1 of 40 (2.5 %) that cannot be used (1: no file there)" in message
    assert "i9 (9.png): expected a radiograph; found no file there." in message
    assert not (tmp_path / "out" / "pixels").exists()  # absent images are said before anything is read
    Image.new("L", (9, 9), 77).save(folder / "9.png")
    (folder / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError) as caught:
        build(images, folder, tmp_path / "out", RECIPE)
    message = str(caught.value)
    assert "found 4 of 40 (10 %) that cannot be used" in message
    for line in (
        "i3 (3.png): expected a radiograph; found an empty file (0 bytes).",
        "i5 (5.png): expected a radiograph; found a file whose content is PDF.",
        "i7 (7.png): expected a radiograph; found one that cannot be decoded: a truncated file.",
        "i9 (9.png): expected a radiograph; found one that cannot be decoded:",
    ):
        assert line in message
    seen = []
    made, bad = build(images, folder, tmp_path / "out", RECIPE, check=seen.append)
    assert bad["image_id"].to_list() == ["i3", "i5", "i7", "i9"]
    assert [frame.height for frame in seen] == [0, 4]
    assert bad.columns == ["image_id", "path", "reason"]
    assert made.height == 36
    assert made["row"].to_list() == list(range(36))
    pixels = open_store(tmp_path / "out").gather(made["part"][3:4], made["row"][3:4])
    np.testing.assert_array_equal(pixels[0], read_image(folder / "4.png", RECIPE))


def test_a_full_disk_is_said_and_the_parts_before_it_stay(tmp_path, images, monkeypatch):
    small_parts(monkeypatch)
    real, written = np.save, []

    def full(file, values):
        if len(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(1)
        real(file, values)

    monkeypatch.setattr(pixel_store.np, "save", full)
    with pytest.raises(InputError, match="free space on the disk; found a full disk"):
        build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    assert sorted(parts(tmp_path / "out")) == ["part-00000.json", "part-00000.npy"]
    with pytest.raises(InputError, match=r"a cohort with pixels/recipe.json"):
        open_store(tmp_path / "out")
    monkeypatch.setattr(pixel_store.np, "save", real)
    build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    assert len(open_store(tmp_path / "out")) == 40


PROGRAM = """
import sys, time
import polars as pl
from overread.images.store import pixel_store
from overread.images.recipe.pixel_recipe import Recipe

def slow(done, total):
    print(done, flush=True)
    time.sleep(0.25)

if __name__ == "__main__":
    pixel_store._PART_BYTES = 16 * 16 * 15
    table = pl.DataFrame({"image_id": [f"i{i}" for i in range(40)], "path": [f"{i}.png" for i in range(40)]})
    pixel_store.build(table, sys.argv[1], sys.argv[2], Recipe(16, "pad"), workers=2, progress=slow)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_was_killed_goes_on_and_gives_the_same_bytes(tmp_path, images, monkeypatch, how):
    small_parts(monkeypatch)
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "in"), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while int(process.stdout.readline()) < 30:  # the first part is written once the second has begun
        pass
    process.send_signal(how)
    process.communicate(timeout=20)
    assert process.returncode != 0
    left = parts(tmp_path / "out")
    assert "part-00000.json" in left
    assert "recipe.json" not in left
    build(images, tmp_path / "in", tmp_path / "whole", RECIPE)
    build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    assert parts(tmp_path / "out") == parts(tmp_path / "whole")
    assert (tmp_path / "out/pixels/part-00000.npy").read_bytes() == left["part-00000.npy"]


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
def test_workers_end_when_their_parent_was_killed(tmp_path, images):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "in"), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while int(process.stdout.readline()) < 15:
        pass
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert workers
    process.kill()
    process.wait()
    alive = workers
    for _ in range(60):
        alive = [w for w in alive if os.path.exists(f"/proc/{w}")]
        if not alive:
            break
        time.sleep(0.1)
    assert not alive


@pytest.mark.slow
def test_a_store_that_is_not_whole_is_refused(tmp_path, images):
    with pytest.raises(InputError, match="Build the cohort first"):
        open_store(tmp_path)
    build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    part = tmp_path / "out/pixels/part-00000.npy"
    whole = part.read_bytes()
    part.write_bytes(whole[:-50])
    with pytest.raises(InputError, match=r"part-00000\.npy: expected an array .* found a damaged file"):
        open_store(tmp_path / "out")
    part.rename(part.with_name("part-00001.npy"))
    with pytest.raises(InputError, match=r"the file part-00000.npy; found part-00001.npy in its place"):
        open_store(tmp_path / "out")
    np.save(part, np.zeros((3, 8, 8), np.uint8))
    part.with_name("part-00001.npy").unlink()
    with pytest.raises(InputError, match=r"uint8 \(n, 16, 16\)"):
        open_store(tmp_path / "out")


@pytest.mark.slow
def test_an_image_without_a_path_is_said(tmp_path, images):
    holes = images.with_columns(path=pl.when(pl.col("image_id") != "i4").then("path"))
    with pytest.raises(InputError, match=r"a path for every image; found 1 without \(i4\)"):
        build(holes, tmp_path / "in", tmp_path / "out", RECIPE)


@pytest.mark.slow
def test_pages_that_were_let_go_are_read_again(tmp_path, images):
    made, _ = build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    opened = open_store(tmp_path / "out")
    before = opened.gather(made["part"].to_numpy(), made["row"].to_numpy())
    opened.release()
    np.testing.assert_array_equal(opened.gather(made["part"].to_numpy(), made["row"].to_numpy()), before)
    pixel_store.Store(RECIPE, (before,)).release()  # in memory there is nothing to let go of


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "way"),
    [(n, w) for n in ("part-00000.npy", "part-00001.json") for w in ("byte", "cut")]
    + [("part-00000.npy", "part-00001.npy")],
)
def test_parts_that_were_altered_are_neither_believed_nor_made_again(tmp_path, images, monkeypatch, name, way):
    small_parts(monkeypatch)
    whole, _ = build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    path = tmp_path / "out/pixels" / name
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    altered = {"byte": bytes(data), "cut": bytes(data[:-9])}
    path.write_bytes(altered[way] if way in altered else (path.parent / way).read_bytes())
    with pytest.raises(InputError, match=rf"{name}.*Remove this file to have the part made again"):
        build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    path.unlink()
    again, _ = build(images, tmp_path / "in", tmp_path / "out", RECIPE)
    assert again.equals(whole)
