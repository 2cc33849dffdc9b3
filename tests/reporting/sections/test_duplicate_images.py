"""The section on pictures that stand twice: the worst pairs first, with where they stand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from overread import tables
from overread.cohort import CohortConfig, build
from overread.images.recipe.pixel_recipe import Recipe
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.duplicate_images import duplicates, excluded_duplicates
from overread.reporting.sections.study_participants import participants
from overread.reporting.sections.summary import study_paragraph

pytestmark = pytest.mark.slow


@pytest.fixture
def cohort(tmp_path):
    """Six pictures of two sites; a stands again at the other site, b again under another patient."""
    rng = np.random.default_rng(0)
    made = {}
    for name in "abcd":
        coarse = Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8))
        made[name] = coarse.resize((80, 80), Image.Resampling.BICUBIC)
    made |= {"e": made["a"], "f": made["b"]}
    for name, image in made.items():
        image.save(tmp_path / f"{name}.png")
    images = pl.DataFrame(
        {
            "image_id": list("abcdef"),
            "patient_id": list("uvwxyz"),
            "site": ["n", "n", "n", "s", "s", "n"],
            "path": [f"{n}.png" for n in "abcdef"],
            "given": ["train", "train", "train", "test", "test", "train"],
            "dataset": ["nih14"] * 4 + ["table"] * 2,
        }
    )
    source = tables.Source(tables.check(images, "images"), tables.empty("labels"))
    build(source, tmp_path, tmp_path / "cohort", CohortConfig(recipe=Recipe(64), split_column="given"))
    return tmp_path / "cohort"


@pytest.fixture
def evidence(made, cohort):
    whole = read_evidence(made.evidence, made.study, cohort_folder=made.cohort)
    pairs = pl.read_parquet(cohort / "duplicates.parquet")
    images = tables.read(cohort / "images.parquet", "images")
    return replace(whole, images=images, duplicates=pairs, stored_size=64)


def test_the_worst_pair_comes_first_and_says_where_it_stands(evidence, cohort):
    section = duplicates(evidence, cohort)
    counts, shown = section.blocks[1], section.blocks[2]
    assert [[c.text for c in row] for row in counts.rows] == [
        ["two sites", "1", "1"],
        ["two patients of one site", "1", "0"],
    ]
    assert counts.remark.startswith("Across splits")
    first, second = shown.items
    assert (first.title, first.kind) == ("Two sites", "across splits")
    assert first.lines == ("a: n, patient u, train", "e: s, patient y, test", "correlation 1.00")
    assert first.image == first.overlay  # the same pixels
    assert second.title == "Two patients of one site"
    assert first.image.startswith("data:image/jpeg;base64,")


def test_no_pairs_and_no_search_are_said(evidence, cohort, tmp_path):
    assert "no cohort was given" in duplicates(evidence, None).absent
    assert "no cohort was given" in duplicates(evidence, tmp_path / "nowhere").absent
    pl.read_parquet(cohort / "duplicates.parquet").clear().write_parquet(cohort / "duplicates.parquet")
    section = duplicates(evidence, cohort)
    assert len(section.blocks) == 1
    assert section.blocks[0].text.endswith("None was found.")


def test_page_one_says_what_was_and_was_not_excluded(evidence, made):
    said = excluded_duplicates(evidence)
    assert said.startswith(
        "Pairs of duplicate images with one image in the test set and the other in the training or tuning set: 1."
    )
    assert "cannot be excluded" in said
    none = replace(evidence, duplicates=evidence.duplicates.clear())
    said = excluded_duplicates(none)
    assert said.startswith(
        "The search for duplicate images found none between the test set and the training and tuning sets."
    )
    assert "mirrored, inverted" in said
    assert "near-duplicates cannot be excluded" in excluded_duplicates(replace(none, stored_size=32))
    unknown = excluded_duplicates(replace(none, stored_size=None))
    assert "The size of the stored images is not known to this report" in unknown
    assert "The stored images are smaller than" not in unknown
    assert excluded_duplicates(replace(none, duplicates=None)).startswith("Duplicate images were not searched for")
    whole = read_evidence(made.evidence, made.study, cohort_folder=made.cohort)
    assert "no model saw an image" not in study_paragraph(whole)


def test_public_sets_bring_their_terms(evidence):
    told = next(b for b in participants(evidence).blocks if getattr(b, "caption", "").startswith("Public data sets"))
    row = [c.text for c in told.rows[0]]
    assert row[0] == "NIH ChestX-ray14"
    assert row[1] == "4"
    assert "10.1109/CVPR.2017.369" in row[2]
    assert len(told.rows) == 1
