"""The passes themselves: order of the pixels, several members, arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from model_files import write_model

from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.pixel_store import Store
from overread.training.networks.model_folder import open_model
from overread.training.scoring import score_parts

PIXELS = np.random.default_rng(2).integers(0, 256, (12, 64, 64)).astype(np.uint8)
STORE = Store(Recipe(size=64), (PIXELS[:5], PIXELS[5:]))
IMAGES = pl.DataFrame({"part": [0] * 5 + [1] * 7, "row": [*range(5), *range(7)]})


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_batches_are_the_pixels_in_order(batch_size: int):
    batches = list(score_parts.read_ahead(STORE, IMAGES, batch_size))
    assert {len(b) for b in batches[:-1]} <= {batch_size}
    assert np.array_equal(np.concatenate(batches), PIXELS)


def test_a_fault_in_reading_ahead_reaches_the_caller():
    beyond = IMAGES.with_columns(row=pl.Series([0] * 11 + [99]))
    with pytest.raises(InputError, match="row 99, of a store with 2 parts"):
        list(score_parts.read_ahead(STORE, beyond, 4))


def load(folder: Path, *, maps: bool = True) -> tuple[score_parts.Member, ...]:
    images = IMAGES.with_columns(image_id=pl.Series([f"i{k}" for k in range(12)]))
    return score_parts.load_members(open_model(folder), STORE, images, device="cpu", heatmaps=maps)


def test_one_member_gives_its_logits_and_maps(tmp_path: Path):
    members = load(write_model(tmp_path / "m"))
    logits, maps = score_parts.run_members(members, PIXELS[:4])
    assert logits.shape == (1, 4, 2)
    assert maps.shape == (4, 2, 8, 8)
    again, none = score_parts.run_members(load(tmp_path / "m", maps=False), PIXELS[:4])
    assert none is None
    assert np.array_equal(again, logits)


def test_bf16_only_where_the_model_asks_for_it(tmp_path: Path):
    plain, maps = score_parts.run_members(load(write_model(tmp_path / "a")), PIXELS)
    members = load(write_model(tmp_path / "b", prediction_precision="bf16-mixed"))
    asked, coarse = score_parts.run_members(members, PIXELS)
    assert not np.array_equal(plain, asked)
    np.testing.assert_allclose(asked, plain, atol=0.1)
    assert members[0].target.head is not None  # the closed form is recognised in any arithmetic
    assert coarse.dtype == torch.float32
    np.testing.assert_allclose(coarse, maps, atol=0.05 * float(maps.max()))
    assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")


def test_an_unknown_precision_is_refused(tmp_path: Path):
    model = open_model(write_model(tmp_path / "m", prediction_precision="int8"))
    with pytest.raises(InputError, match=r"one prediction_precision.*found int8"):
        score_parts.precision(model)
