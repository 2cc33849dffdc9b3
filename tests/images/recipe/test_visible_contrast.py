import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from overread import integrity
from overread.errors import InputError
from overread.images.recipe import visible_contrast
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.decode_worker import make, read_image
from overread.images.store.pixel_store import build

RECIPES = [Recipe(32, fit, window) for fit in ("crop", "pad") for window in ("full", "percentile")]
NOISE = np.random.default_rng(0).integers(0, 256, (90, 120)).astype(np.uint8)


def notes_of(path, recipe):
    (record,), _ = make([path], recipe)
    return record.fault or record.note


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"{r.fit}-{r.window}")
@pytest.mark.parametrize("value", [0, 7, 255, 65535])
@pytest.mark.parametrize("kind", ["png", "jpg", "dcm"])
def test_a_picture_of_one_grey_value_is_refused(tmp_path, write_dicom, kind, value, recipe):
    values = np.full((90, 120), value, np.uint16 if value > 255 else np.uint8)
    path = tmp_path / f"a.{kind}"
    if kind == "dcm":
        write_dicom(values, path.name, bits=8 * values.itemsize)
    elif kind == "jpg" and value > 255:
        Image.fromarray(values.astype(np.uint8)).save(path)
    else:
        Image.fromarray(values).save(path)
    with pytest.raises(InputError, match=r"expected a picture with contrast; found one grey value \(\d+ of 255\)"):
        read_image(path, recipe)
    assert "one grey value" in notes_of(path, recipe)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"{r.fit}-{r.window}")
def test_masks_and_pictures_without_contrast_are_noted(tmp_path, write_dicom, recipe):
    y, x = np.mgrid[:900, :1200]
    mask = np.where((x - 600) ** 2 + (y - 450) ** 2 < 200**2, 255, 0).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert notes_of(tmp_path / "mask.png", recipe) == "the picture has fewer than 16 grey values"
    assert "fewer than 16 grey values" in notes_of(write_dicom(mask // 32, bits=8), recipe)
    if recipe.window == "full":
        dark = np.resize(NOISE & 3, (900, 1200))
        dark[430:470, 580:620] = np.linspace(0, 255, 1600).reshape(40, 40)
        Image.fromarray(dark).save(tmp_path / "dark.png")
        poor = notes_of(tmp_path / "dark.png", Recipe(300, recipe.fit))
        assert poor == "the picture has 99 % of the pixels within 2 % of the grey range"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"{r.fit}-{r.window}")
@pytest.mark.parametrize("border", [0, 0.5, 0.9])
def test_radiographs_with_large_black_borders_pass(tmp_path, recipe, border):
    values = np.zeros((600, 600), np.uint8)
    half = round(300 * (1 - border) ** 0.5)
    values[300 - half : 300 + half, 300 - half : 300 + half] = np.linspace(20, 240, 2 * half)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert notes_of(tmp_path / "a.png", recipe) == ""


def test_bars_that_pad_a_picture_are_not_judged(tmp_path):
    values = np.linspace(0, 255, 4000).astype(np.uint8).reshape(1, 4000).repeat(20, axis=0)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert notes_of(tmp_path / "a.png", Recipe(224, "pad")) == ""


@pytest.mark.slow
@given(
    levels=st.lists(st.integers(0, 255), min_size=1, max_size=40, unique=True),
    rare=st.integers(0, 60),
    seed=st.integers(0, 99),
)
def test_flatness_is_what_its_words_say(levels, rare, seed):
    rng = np.random.default_rng(seed)
    greys = np.full((60, 60), levels[0], np.uint8)
    greys.reshape(-1)[rng.choice(3600, rare, replace=False)] = rng.choice(levels, rare).astype(np.uint8)
    values, counts = np.unique(greys, return_counts=True)
    fullest = max(counts[(values >= v) & (values <= v + 5)].sum() for v in range(256))
    expected = (
        visible_contrast.ONE
        if len(values) == 1
        else visible_contrast.FEW
        if len(values) < 16
        else visible_contrast.NARROW
        if fullest >= 0.99 * greys.size
        else ""
    )
    assert visible_contrast.flatness(greys) == expected


def test_the_store_leaves_them_out_and_notes_the_others(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(9):
        Image.fromarray(np.roll(NOISE, number)).save(folder / f"{number}.png")
    Image.new("L", (90, 90)).save(folder / "black.png")
    Image.fromarray(np.where(NOISE > 99, 255, 0).astype(np.uint8)).save(folder / "mask.png")
    names = sorted(p.name for p in folder.iterdir())
    images = pl.DataFrame({"image_id": names, "path": names})
    with pytest.raises(InputError, match=r"black.png.*found one grey value \(0 of 255\) all over"):
        build(images, folder, tmp_path / "out", Recipe(32))
    made, bad = build(images, folder, tmp_path / "out", Recipe(32), check=lambda unreadable: None)
    assert bad["image_id"].to_list() == ["black.png"]
    noted = made.filter(pl.col("pixel_note") != "").select("image_id", "pixel_note").rows()
    assert noted == [("mask.png", "the picture has fewer than 16 grey values")]


def test_parts_made_by_older_rules_are_made_again(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    images = pl.DataFrame({"image_id": ["a"], "path": ["a.png"]})
    build(images, tmp_path, tmp_path / "out", Recipe(32))
    record = tmp_path / "out/pixels/part-00000.json"
    old = json.loads(record.read_text())
    changed = {"key": "of older rules", "images": [old["images"][0] | {"note": "old"}]}
    integrity.write_sealed(record, old | changed)
    made, _ = build(images, tmp_path, tmp_path / "out", Recipe(32))
    assert made["pixel_note"].item() == ""
