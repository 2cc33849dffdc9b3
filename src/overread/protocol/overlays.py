"""Overlays of heat maps on radiographs with a positive call, one PNG per image and finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import tables
from overread.images.store.pixel_store import Store
from overread.tables.storage.names import below, file_names

SIDE = 480  # pixels of an overlay


def draw_overlays(
    model: Any,
    predictions: pl.DataFrame,
    images: pl.DataFrame,
    store: Store,
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Draw the heat maps of the findings that a model calls present; overlays that are there already are kept.

    Parameters
    ----------
    model
        the opened model, for its name, outputs and operating points
    predictions
        its scores; a finding is called where the score is at least its frozen threshold
    images
        image_id, part and row of every image in the store
    store
        the pixels
    folder
        the folder of the prediction, with its heat maps; the overlays are written into `overlays` in it
    progress
        called with overlays done and overlays in all

    Returns
    -------
    image_id, finding, score, threshold, and file relative to `folder`, of every overlay, by image and finding.
    """
    from overread.reporting.sections.heatmaps import open_maps, overlay

    called = _called(model, predictions)
    files = file_names(images["image_id"].to_list())
    called = called.with_columns(
        file=pl.Series([f"overlays/{files[i]}.{f}.png" for i, f in called.select("image_id", "finding").iter_rows()])
        if called.height
        else pl.Series([], dtype=pl.String)
    )
    maps = open_maps(folder)
    places = {image_id: (part, row) for image_id, part, row in images.select("image_id", "part", "row").iter_rows()}
    tables.make_folder(below(folder, "overlays"))
    for number, drawn in enumerate(called.iter_rows(named=True), 1):
        path = folder / drawn["file"]
        if not path.exists():
            part, row = places[drawn["image_id"]]
            heat = maps.of(drawn["image_id"], drawn["finding"]) if maps is not None else None
            assert heat is not None  # the prediction has just written it
            picture = overlay(store.gather(np.array([part]), np.array([row]))[0], heat, [], side=SIDE)
            with tables.replacing(path) as temporary, tables.writing(path):
                picture.save(temporary, "PNG")
        if progress is not None:
            progress(number, called.height)
    return called


def _called(model: Any, predictions: pl.DataFrame) -> pl.DataFrame:
    """The scores at or above the frozen threshold of their finding; a finding without a threshold is never called."""
    from overread.reporting.sections.heatmaps import frozen_threshold

    points = model.record["operating_points"]
    chosen = {f: frozen_threshold(points.get(f) or {}) for f in model.outputs}
    thresholds = pl.DataFrame(
        [(f, t) for f, t in chosen.items() if t is not None],
        schema={"finding": pl.String, "threshold": pl.Float64},
        orient="row",
    )
    own = predictions.filter(pl.col("model") == model.name).with_columns(pl.col("finding").cast(pl.String))
    return (
        own.join(thresholds, on="finding")
        .filter(pl.col("score") >= pl.col("threshold"))
        .sort("image_id", "finding")
        .select("image_id", "finding", "score", "threshold")
    )
