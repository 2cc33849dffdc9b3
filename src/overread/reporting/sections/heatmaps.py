"""Heat maps of test images: true and false positives, known regions outlined."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from overread import tables
from overread.errors import InputError
from overread.images.store import pixel_store
from overread.reporting.blocks import Paragraph, Picture, Pictures, Section
from overread.reporting.number_format import exact
from overread.reporting.report_data import (
    ReportData,
    pick,
    points_in_order,
    population_title,
    value_at,
)
from overread.tables.records.kinds import MapsRecord
from overread.tables.records.typed_files import read_array, read_json

_SHOWN = 240  # pixels: the side of a picture on the page
_FINDINGS = 5
_AGAIN = "Predict again."


@dataclass(frozen=True, slots=True)
class Maps:
    """The heat maps of one model: which image lies where, and the findings in the order of the second axis."""

    folder: Path
    where: pl.DataFrame
    findings: tuple[str, ...]

    def of(self, image_id: str, finding: str) -> NDArray[np.float32] | None:
        """The map of a finding in an image, at the network's own resolution; None where there is none."""
        row = self.where.filter(pl.col("image_id") == image_id)
        if row.is_empty() or finding not in self.findings:
            return None
        part, place = row.select("part", "row").row(0)
        path, sizes = self.folder / "heatmaps" / f"part-{part:05d}.npy", (None, len(self.findings), None, None)
        maps = read_array(path, (np.float16, np.float32), sizes, do=_AGAIN)
        if not 0 <= place < len(maps):
            raise InputError(path, f"a map in row {place} for image '{image_id}'", f"{len(maps):,} rows", do=_AGAIN)
        return np.asarray(maps[place, self.findings.index(finding)], dtype=np.float32)


def open_maps(folder: Path | str) -> Maps | None:
    """The heat maps in a folder of predictions; None where it holds none."""
    folder = Path(folder)
    if not (folder / "heatmaps.parquet").is_file() or not (folder / "heatmaps.json").is_file():
        return None
    said = read_json(folder / "heatmaps.json", MapsRecord, do=_AGAIN)
    where = tables.frame_of(folder / "heatmaps.parquet")
    places = all(c in where.columns and where.schema[c].is_integer() for c in ("part", "row"))
    if not places or where.schema.get("image_id") != pl.String or any(s.null_count() for s in where):
        found = ", ".join(f"{c} ({kind})" for c, kind in where.schema.items())
        expected = "columns image_id (text), part and row (whole numbers), none empty"
        raise InputError(folder / "heatmaps.parquet", expected, found, do=_AGAIN)
    return Maps(folder, where, tuple(said["findings"]))


def looked_at(evidence: ReportData, cohort_folder: Path | str | None, folders: Mapping[str, Path | str]) -> Section:
    """True and false positives of several findings, image beside overlay."""
    title = "Heat maps"
    rater = next((r for r in evidence.cast.raters if r in folders and open_maps(folders[r])), None)
    if rater is None:
        return Section("heatmaps", title, absent="no heat maps of an evaluated model were supplied")
    if cohort_folder is None:
        return Section("heatmaps", title, absent="no cohort with the pixels of the heat maps was supplied")
    maps = open_maps(folders[rater])
    assert maps is not None
    pixels = pixel_store.open_store(Path(cohort_folder))
    made, missing = [], []
    chosen = _chosen_findings(evidence, rater, maps)
    for finding in chosen:
        for kind in ("true positive", "false positive"):
            case = _example(evidence, rater, finding, kind, maps)
            if case is None:
                missing.append(f"{evidence.heading(finding)} ({kind})")
            else:
                made.append(_picture(evidence, pixels, maps, case, kind))
    if not made:
        return Section("heatmaps", title, absent=_no_example(evidence, rater, chosen))
    lead = Paragraph(
        f"Grad-CAM of {rater} at the last feature layer, upsampled bilinearly, each map scaled to its own "
        "maximum. The "
        "maps show approximately which regions raised the score; they do not localise disease and were not validated. "
        "Examples are chosen by rule: of the test images called present at the threshold, the one of median score "
        "among those with the finding (true positive; among those with a known region, if there is one) and among "
        "those without it (false positive)."
    )
    regions = " Outlined: known regions of the finding." if evidence.regions.height else ""
    caption = f"Image, and the same image with the heat map overlaid (yellow: highest value).{regions}"
    blocks: list[Any] = [lead, Pictures(caption, tuple(made))]
    if missing:
        blocks.append(Paragraph(f"No example: {'; '.join(missing)}.", kind="small"))
    return Section("heatmaps", title, tuple(blocks))


def _no_example(evidence: ReportData, rater: str, chosen: Sequence[str]) -> str:
    """Why there is no case to show: no finding, no threshold, or no call."""
    if not chosen:
        return "no evaluated case has a finding that the heat maps are about"
    if all(_threshold(evidence, rater, finding) is None for finding in chosen):
        return "no threshold is known for a finding of the heat maps"
    return "no test image with a heat map was called present at the threshold"


def _chosen_findings(evidence: ReportData, rater: str, maps: Maps) -> list[str]:
    """The findings with most true cases in the test set, so that examples are typical; at most five."""
    rows = evidence.joined.filter(
        pl.col("rater") == rater, pl.col("truth"), pl.col("finding").cast(pl.String).is_in(maps.findings)
    )
    ranked = rows.group_by("finding").len().sort("len", "finding", descending=[True, False])
    best = ranked["finding"].cast(pl.String).head(_FINDINGS).to_list()
    return [f for f in evidence.cast.findings if f in best]


def frozen_threshold(points: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The first threshold among operating points: specificities before sensitivities, the lower one first.

    >>> frozen_threshold({"sens90": {"threshold": 0.1}, "spec95": {"threshold": 0.6}, "spec90": {"threshold": None}})
    0.6
    """
    for at in points_in_order(f"operating_point={name}" for name in points):
        point = points[value_at(at, "operating_point")]
        if point.get("threshold") is not None:
            return float(point["threshold"])
    return None


def _threshold(evidence: ReportData, rater: str, finding: str) -> float | None:
    """The first threshold that there is: specificities before sensitivities, the lower one first."""
    points = (evidence.models.get(rater) or {}).get("operating_points", {}).get(finding) or {}
    if (threshold := frozen_threshold(points)) is not None:
        return threshold
    rows = pick(evidence.estimates, metric="threshold", rater=rater, finding=finding).drop_nans("estimate")
    return float(rows.sort("at", descending=True)["estimate"][0]) if rows.height else None


def _example(evidence: ReportData, rater: str, finding: str, kind: str, maps: Maps) -> dict[str, Any] | None:
    threshold = _threshold(evidence, rater, finding)
    if threshold is None:
        return None
    cases = evidence.joined.filter(
        pl.col("rater") == rater,
        pl.col("finding") == finding,
        pl.col("score") >= threshold,
        pl.col("truth") == (kind == "true positive"),
    )
    images = evidence.images.filter(pl.col("part").is_not_null()).join(
        maps.where.select("image_id"), on="image_id", how="semi"
    )
    both = cases.join(images, on="case_id", how="inner", suffix="_image").sort("score", "image_id")
    if evidence.regions.height and kind == "true positive":
        located = both.join(evidence.regions.filter(pl.col("finding") == finding), on="image_id", how="semi")
        both = located if located.height else both
    return {**both.row(both.height // 2, named=True), "threshold": threshold} if both.height else None


def _picture(evidence: ReportData, pixels: pixel_store.Store, maps: Maps, case: dict[str, Any], kind: str) -> Picture:
    finding = str(case["finding"])
    image = np.asarray(pixels.gather(np.array([case["part"]]), np.array([case["row"]]))[0])
    heat = maps.of(case["image_id"], finding)
    assert heat is not None
    boxes = _boxes(evidence, case, pixels.recipe.to_dict())
    where = population_title(evidence, case["population"])
    truth = "present" if case["truth"] else "absent"
    lines = (
        f"Score {exact(case['score'])}, threshold {exact(case['threshold'])}",
        f"{where} · image {case['image_id']}",
    )
    alt = (
        f"Chest radiograph {case['image_id']}: {evidence.heading(finding)} {truth} by the label, "
        f"called present ({kind})."
    )
    return Picture(
        title=evidence.heading(finding),
        kind=kind.capitalize(),
        image=data_uri(grey(image), "PNG"),
        overlay=data_uri(overlay(image, heat, boxes), "JPEG"),
        alt=alt,
        lines=lines,
    )


def upsample(heat: NDArray[np.floating], size: int) -> NDArray[np.float32]:
    """A heat map (h, w) as (size, size), bilinear, scaled to its own maximum; all zero stays zero."""
    heat = np.maximum(np.nan_to_num(np.asarray(heat, dtype=np.float32)), 0.0)
    large = np.asarray(Image.fromarray(heat).resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    top = float(large.max())
    return large / np.float32(top) if top > 0 else large


def grey(image: NDArray[np.uint8], side: int = _SHOWN) -> Image.Image:
    """The radiograph (size, size), at the size of the page or another one, 8-bit grey."""
    return Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)


def overlay(
    image: NDArray[np.uint8],
    heat: NDArray[np.floating],
    boxes: list[tuple[float, float, float, float]],
    *,
    side: int = _SHOWN,
) -> Image.Image:
    """The radiograph under the heat map, which is clear where it is cold, and the known boxes (fractions) outlined."""
    base = np.asarray(grey(image, side), dtype=np.float32)[..., None].repeat(3, axis=2)
    warm = upsample(heat, side)
    colour = colormaps["plasma"](warm)[..., :3].astype(np.float32) * 255
    weight = (0.62 * np.clip((warm - 0.15) / 0.85, 0, 1) ** 0.8)[..., None]
    drawn = Image.fromarray(np.clip(base * (1 - weight) + colour * weight, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    for left, top, right, bottom in boxes:
        corners = [left * side, top * side, right * side, bottom * side]
        pen.rectangle(corners, outline=(0, 0, 0), width=3)
        pen.rectangle(corners, outline=(255, 255, 255), width=1)
    return drawn


def _boxes(
    evidence: ReportData, case: dict[str, Any], recipe: Mapping[str, Any]
) -> list[tuple[float, float, float, float]]:
    rows = evidence.regions.filter(pl.col("image_id") == case["image_id"], pl.col("finding") == case["finding"])
    size = (case.get("rows"), case.get("columns"))
    if rows.is_empty() or None in size:
        return []
    return [placed((r["x"], r["y"], r["width"], r["height"]), size, recipe["fit"]) for r in rows.to_dicts()]


def placed(
    box: tuple[float, float, float, float], size: tuple[Any, Any], fit: str
) -> tuple[float, float, float, float]:
    """A box in pixels of the original as fractions (left, top, right, bottom) of the stored square.

    >>> placed((100, 0, 100, 100), (100, 200), "pad")
    (0.5, 0.25, 1.0, 0.75)
    """
    rows, columns = size
    side = min(rows, columns) if fit == "crop" else max(rows, columns)
    left, top = (columns - side) / 2, (rows - side) / 2
    x, y, width, height = box
    ends = ((x - left) / side, (y - top) / side, (x + width - left) / side, (y + height - top) / side)
    a, b, c, d = (min(max(v, 0.0), 1.0) for v in ends)
    return a, b, c, d


def data_uri(image: Image.Image, kind: str) -> str:
    """A picture as the page holds it."""
    buffer = io.BytesIO()
    options = {"optimize": True} if kind == "PNG" else {"quality": 88, "optimize": True}
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
