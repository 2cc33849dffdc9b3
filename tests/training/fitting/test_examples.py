"""What is learnt from: selection, truths under each policy, what cannot be an output, the order, the loader."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import make_planted, tiny

from overread import tables
from overread.errors import InputError
from overread.images.store.pixel_store import open_store
from overread.training.fitting import examples
from overread.training.training_config import TrainingConfig

IMAGES = pl.DataFrame({"image_id": ["a1", "a2", "b1"], "case_id": ["a", "a", "b"]})
LABELS = pl.DataFrame(
    {
        "case_id": ["a", "a", "b", "b", "z"],
        "finding": ["edema", "mass", "edema", "hernia", "mass"],
        "source": ["r"] * 5,
        "state": ["present", "absent", "uncertain", "present", "present"],
    }
)


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "edema"), [("ignore", np.nan), ("absent", 0.0), ("present", 1.0)])
def test_truth_by_hand(policy: str, edema: float):
    truth = examples.truth_of(IMAGES, LABELS, ("mass", "edema"), policy=lambda finding: policy)
    np.testing.assert_array_equal(truth, np.array([[0, 1], [0, 1], [np.nan, edema]], np.float32))


def test_the_policy_is_by_finding():
    config = TrainingConfig(uncertain={"edema": "present"})
    labels = LABELS.with_columns(state=pl.lit("uncertain"))
    truth = examples.truth_of(IMAGES, labels, ("mass", "edema"), policy=config.policy)
    np.testing.assert_array_equal(truth, np.array([[np.nan, 1], [np.nan, 1], [np.nan, 1]], np.float32))


def test_outputs_need_both_classes_in_training(tmp_path: Path):
    folder = make_planted(tmp_path / "cohort")
    images, labels = (tables.read(folder / f"{t}.parquet", t) for t in ("images", "labels"))
    train = examples.select_images(images, split="train")
    outputs, reasons = examples.outputs_of(train, labels, tiny(findings=()))
    assert outputs == ("mass", "nodule", "edema")  # the order of the vocabulary
    assert reasons == {
        "hernia": f"the training sources state it only as absent ({train.height} images)",
        "fracture": "no training source states it",
    }
    south = examples.select_images(images, split="train", sites=["south"])
    outputs, reasons = examples.outputs_of(south, labels, tiny(findings=("nodule", "mass")))
    assert outputs == ("mass",)
    assert reasons["nodule"] == "no training source states it"
    assert reasons["edema"] == "not among the findings that were asked for"


def test_nothing_to_learn():
    with pytest.raises(InputError, match=r"none among 1 \(hernia: the training sources state it only as present"):
        examples.outputs_of(IMAGES, LABELS, TrainingConfig(findings=("hernia",)))


def test_selection(tmp_path: Path):
    images = tables.read(make_planted(tmp_path / "cohort") / "images.parquet", "images")
    chosen = examples.select_images(images, split="tune", sites=["north"])
    assert chosen["image_id"].is_sorted()
    assert set(chosen["site"]) == {"north"}
    assert set(chosen["split"].cast(pl.String)) == {"tune"}
    with pytest.raises(InputError, match="Did you mean 'north'"):
        examples.select_images(images, split="tune", sites=["nort"])
    with pytest.raises(InputError, match="images in the split 'train' of north; found none"):
        examples.select_images(images.filter(pl.col("split") == "test"), split="train", sites=["north"])
    row = pl.when(pl.col("image_id") == "0000").then(None).otherwise("row").alias("row")
    with pytest.raises(InputError, match="1 images without"):
        examples.select_images(images.with_columns(row), split="train")


def test_limited_images_are_whole_patients_but_the_last(tmp_path: Path):
    images = tables.read(make_planted(tmp_path / "cohort") / "images.parquet", "images")
    some = examples.limit_images(images, 31, rng=np.random.default_rng(1))
    assert some.height == 31
    assert sorted(some["patient_id"].value_counts()["count"]) == [1] + [2] * 15
    assert some.equals(examples.limit_images(images, 31, rng=np.random.default_rng(1)))
    assert not some.equals(examples.limit_images(images, 31, rng=np.random.default_rng(2)))
    assert examples.limit_images(images, 10_000, rng=np.random.default_rng(1)).equals(images.sort("image_id"))


def test_two_sources_that_state_the_same_are_refused_until_one_is_named():
    both = pl.concat([LABELS, LABELS.with_columns(source=pl.lit("s"))])
    with pytest.raises(InputError, match=r"5 that several sources state \(r, s\) \(a edema, a mass"):
        examples.chosen_labels(both, sources=())
    assert examples.chosen_labels(both, sources=("s",))["source"].unique().to_list() == ["s"]
    with pytest.raises(InputError, match="Known sources: r, s"):
        examples.chosen_labels(both, sources=("q",))


def test_prevalence_by_site():
    images = pl.DataFrame({"site": ["x", "x", "x", "y"]})
    truth = np.array([[1, np.nan], [0, 1], [0, np.nan], [1, np.nan]], np.float32)
    found = examples.prevalences(examples.Examples(images, truth), ("edema", "mass"))
    assert found == {"x": {"edema": 1 / 3, "mass": 1.0}, "y": {"edema": 1.0, "mass": None}}


def test_every_epoch_has_every_image_once_in_an_order_of_its_own():
    orders = [examples.epoch_order(103, 16, seed=4, epoch=e) for e in (0, 1)]
    for order in orders:
        assert sorted(np.concatenate(order)) == list(range(103))
        assert {len(batch) for batch in order} == {14, 15}
    assert not np.array_equal(np.concatenate(orders[0]), np.concatenate(orders[1]))
    again = examples.epoch_order(103, 16, seed=4, epoch=1)
    assert all(np.array_equal(a, b) for a, b in zip(orders[1], again, strict=True))


def test_batches_are_the_images_and_truths_that_were_asked_for(tmp_path: Path):
    folder = make_planted(tmp_path / "cohort")
    store, images = open_store(folder), tables.read(folder / "images.parquet", "images").sort("image_id")
    truth = np.arange(2 * images.height, dtype=np.float32).reshape(-1, 2)
    pixels = np.concatenate([np.load(p) for p in sorted((folder / "pixels").glob("*.npy"))])
    order = examples.epoch_order(images.height, 7, seed=0, epoch=0)
    found = list(examples.batches(store, examples.Examples(images, truth), order))
    assert len(found) == len(order)
    for places, (x, y) in zip(order, found, strict=True):
        np.testing.assert_array_equal(x.numpy(), pixels[places])
        np.testing.assert_array_equal(y.numpy(), truth[places])


def test_the_loader_runs_ahead_but_not_away():
    started = []
    items = list(range(10))
    stream = examples.ahead(lambda i: started.append(i) or i, items)
    assert next(stream) == 0
    for _ in range(100):
        threading.Event().wait(0.005)
        if len(started) == 1 + examples.AHEAD:
            break
    assert started == items[: 1 + examples.AHEAD]
    assert list(stream) == items[1:]
    stream.close()


def test_an_error_of_the_loader_comes_in_its_turn_and_ends_the_thread():
    def work(item: int) -> int:
        if item == 2:
            raise InputError("part", "pixels", "none")
        return item

    stream = examples.ahead(work, [0, 1, 2, 3])
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(InputError):
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("overread-loader")]
