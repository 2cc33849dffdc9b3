"""Overlays: upsampling, boxes placed by the recipe, examples chosen by rule."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.images.raster.file_content import ImageFile
from overread.images.recipe.pixel_recipe import Recipe, apply_recipe
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.heatmaps import looked_at, open_maps, overlay, placed, upsample


def test_upsampling_is_bilinear_and_scaled_to_the_maximum():
    large = upsample(np.array([[0.0, 2.0], [0.0, 2.0]]), 4)
    assert large.shape == (4, 4)
    assert large[0].tolist() == pytest.approx([0.0, 0.25, 0.75, 1.0])  # pixel centres, as every image library does it
    assert large.max() == 1.0


def test_an_empty_map_and_one_that_is_no_number_stay_empty():
    assert upsample(np.zeros((7, 7)), 14).max() == 0.0
    assert upsample(np.full((7, 7), np.nan), 14).max() == 0.0


def test_overlay_leaves_cold_places_as_they_are_and_warms_hot_ones():
    image = np.full((32, 32), 100, np.uint8)
    heat = np.zeros((4, 4))
    heat[3, 3] = 1.0
    drawn = np.asarray(overlay(image, heat, []))
    assert drawn[:100, :100].tolist() == np.full((100, 100, 3), 100).tolist()
    red, _, blue = drawn[-5, -5].astype(int)
    assert red > blue + 50


def test_a_box_is_outlined_where_it_is():
    drawn = np.asarray(overlay(np.full((32, 32), 100, np.uint8), np.zeros((4, 4)), [(0.25, 0.25, 0.75, 0.75)]))
    assert (drawn[60, 60:180] != 100).all()
    assert (drawn[120, 70:170] == 100).all()


@pytest.mark.parametrize("fit", ["crop", "pad"])
@given(rows=st.integers(40, 200), columns=st.integers(40, 200))
def test_a_box_lands_where_the_recipe_puts_its_pixels(fit, rows, columns):
    pixels = np.zeros((rows, columns), np.uint8)
    top, left, tall, wide = rows // 2 - 8, columns // 2 - 8, 16, 16
    pixels[top : top + tall, left : left + wide] = 255
    stored = apply_recipe(ImageFile(pixels, 0.0, 255.0, rows, columns), Recipe(size=64, fit=fit))
    a, b, c, d = (v * 64 for v in placed((left, top, wide, tall), (rows, columns), fit))
    where = np.argwhere(stored > 127)
    (y0, x0), (y1, x1) = where.min(axis=0), where.max(axis=0) + 1
    assert (x0, y0, x1, y1) == pytest.approx((a, b, c, d), abs=1.6)


@pytest.mark.slow
def test_examples_are_called_present_and_true_or_false_as_they_say(made):
    evidence = read_evidence(made.evidence, made.study, cohort_folder=made.cohort, models=made.models)
    section = looked_at(evidence, made.cohort, made.heatmaps)
    pictures = next(b for b in section.blocks if hasattr(b, "items"))
    assert {p.kind for p in pictures.items} == {"True positive", "False positive"}
    assert len({p.title for p in pictures.items}) == 5
    for picture in pictures.items:
        image = picture.lines[1].rpartition("image ")[2]
        finding = {"Mass": "mass", "Consolidation": "consolidation"}.get(picture.title)
        if finding:
            row = evidence.joined.filter(
                pl.col("case_id") == image, pl.col("finding") == finding, pl.col("rater") == "pooled"
            ).to_dicts()[0]
            assert row["truth"] == (picture.kind == "True positive")
            assert row["score"] >= 0.3


@pytest.mark.slow
def test_without_maps_or_pixels_the_section_says_so(made, tmp_path):
    evidence = read_evidence(made.evidence, made.study, cohort_folder=made.cohort, models=made.models)
    assert "no heat maps" in looked_at(evidence, made.cohort, {}).absent
    assert "no cohort with the pixels" in looked_at(evidence, None, made.heatmaps).absent
    assert open_maps(tmp_path) is None
