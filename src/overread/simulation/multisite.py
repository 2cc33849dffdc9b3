"""Simulation of five hospitals on disk: images rendered in parallel, reported and true labels, and regions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import tables
from overread.errors import InputError
from overread.findings import load as load_vocabulary
from overread.images.store.executors import in_order
from overread.simulation.disease_effects import STRENGTH
from overread.simulation.hospital_options import IMAGES_PER_SITE, STATED, problems
from overread.simulation.patient_visits import Visit, visits
from overread.simulation.radiograph_files import write_dicom, write_png, write_regions
from overread.simulation.rendering import radiograph
from overread.simulation.sites import SITES, Site, blended
from overread.tables import Source
from overread.tables.records.typed_files import read_json

# Raised when the same seed gives other pictures than before, so that an old folder is not completed with new ones.
RECIPE = 1


@dataclass(frozen=True)
class _Job:
    visit: Visit
    path: str
    dicom: bool
    seed: tuple[int, ...]


def hospitals(  # every argument is a choice of the study, named at the call
    out: Path,
    *,
    images_per_site: Mapping[str, int] | None = None,
    size: int = 128,
    seed: int,
    workers: int = 1,
    findings: Sequence[str] | None = None,
    site_differences: float = 1.0,
    label_noise: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Source:
    """Simulate hospitals: write their radiographs to `out` and return their tables.

    Parameters
    ----------
    out : Path
        Folder to write. Existing images of the same simulation are not rendered again.
    images_per_site : mapping, optional
        Site -> number of images; sites are alder, birch, cedar (training), dogwood and elm (external). Default: 400
        for each training site and 300 for each external site.
    size : int
        Side of the images in pixels.
    seed : int
        Seed; the result does not depend on the number of workers.
    workers : int
        Processes. In a script, call the function under `if __name__ == "__main__"` if above 1.
    findings : sequence of str, optional
        Findings that labels state; None = all nine and no_finding. All nine can be present in the images.
    site_differences : float
        Scale of the differences between sites in device, tone, markers, case mix and labelling: 0 = none, 1 = default,
        above 1 = larger.
    label_noise : float
        Scale of the errors of reports; 0 = reports equal the ground truth.
    progress : callable, optional
        Called with (images done, images in all).

    Returns
    -------
    Source
        Images (path relative to `out`), labels of source "report" (stated by the hospital) and "truth" (simulated,
        with `severity` from 0 to 1), and regions (bounding boxes of the simulated findings). birch writes DICOM, the
        others PNG.

    Raises
    ------
    InputError
        A site or finding is unknown, or `out` holds another simulation.
    """
    asked = IMAGES_PER_SITE if images_per_site is None else images_per_site
    stated = STATED if findings is None else findings
    values = {
        "images_per_site": asked,
        "findings": stated,
        "size": size,
        "seed": seed,
        "site_differences": site_differences,
        "label_noise": label_noise,
    }
    if found := problems(values):
        raise InputError.all(found)
    wanted = dict(asked)
    configuration = {
        "recipe": RECIPE,
        "images_per_site": wanted,
        "size": size,
        "seed": seed,
        "site_differences": site_differences,
        "label_noise": label_noise,
        "strength": dict(STRENGTH),
    }
    _claim(out, configuration)
    numbers = {site.name: number for number, site in enumerate(SITES)}
    jobs: list[_Job] = []
    for site in blended(site_differences):
        if site.name in wanted:
            jobs += _jobs(site, wanted[site.name], (seed, numbers[site.name]), label_noise)
    for folder in {Path(job.path).parent for job in jobs}:
        tables.make_folder(out / folder)
        tables.make_folder(out / "regions" / folder)
    _render_all(jobs, out, size, workers, progress)
    return _source(jobs, out, size, stated)


def _claim(out: Path, configuration: dict[str, object]) -> None:
    """Record the configuration in the folder; refuse a folder of another simulation."""
    tables.make_folder(out)
    mark = out / "simulation.json"
    plain = json.loads(json.dumps(configuration))
    if mark.is_file():
        found = read_json(mark, dict[str, Any], do="Choose another folder, or delete this one.")
        differing = sorted(key for key in plain.keys() | found.keys() if plain.get(key) != found.get(key))
        if differing:
            raise InputError(
                out,
                "an empty folder or the same simulation, interrupted",
                "a simulation with other settings",
                examples=[f"{key}: {found.get(key)} there, {plain.get(key)} asked" for key in differing],
                do="Choose another folder, or delete this one.",
            )
        return
    tables.write_json(mark, configuration)


def _jobs(site: Site, images: int, seed: tuple[int, int], label_noise: float) -> list[_Job]:
    suffix = "dcm" if site.dicom else "png"
    drawn = visits(site, images, label_noise=label_noise, rng=np.random.default_rng([*seed, 0]))
    return [
        _Job(visit, f"{site.name}/{visit.image_id}.{suffix}", site.dicom, (*seed, 1, number))
        for number, visit in enumerate(drawn)
    ]


def _render(job: _Job, out: Path, size: int) -> None:
    """Render and write one image; its regions are written first, so that no image is without them."""
    picture = radiograph(
        job.visit.patient,
        size=size,
        rng=np.random.default_rng(job.seed),
        acquisition=job.visit.acquisition,
        severities=job.visit.severities,
    )
    write_regions(picture, _regions_path(out, job))
    if job.dicom:
        write_dicom(picture, job.visit, out / job.path)
    else:
        write_png(picture, out / job.path)


def _regions_path(out: Path, job: _Job) -> Path:
    return (out / "regions" / job.path).with_suffix(".json")


def _render_all(
    jobs: list[_Job], out: Path, size: int, workers: int, progress: Callable[[int, int], None] | None
) -> None:
    left = [job for job in jobs if not ((out / job.path).is_file() and _regions_path(out, job).is_file())]
    done = len(jobs) - len(left)
    with closing(in_order(_render, ((job, out, size) for job in left), workers)) as stream:
        for _ in stream:
            done += 1
            if progress:
                progress(done, len(jobs))


def _source(jobs: list[_Job], out: Path, size: int, stated: Sequence[str]) -> Source:
    images = pl.DataFrame([_image_row(job, size) for job in jobs], infer_schema_length=None)
    labels = pl.DataFrame(
        [row for job in jobs for row in _label_rows(job.visit, stated)],
        schema={
            "case_id": pl.String,
            "finding": pl.String,
            "source": pl.String,
            "state": pl.String,
            "severity": pl.Float64,
        },
        orient="row",
    )
    regions = pl.DataFrame(
        [row for job in jobs for row in _region_rows(job, out, stated)],
        schema={
            "image_id": pl.String,
            "finding": pl.String,
            "source": pl.String,
            "number": pl.Int32,
            "x": pl.Float64,
            "y": pl.Float64,
            "width": pl.Float64,
            "height": pl.Float64,
        },
        orient="row",
    )
    chest = load_vocabulary("chest")  # the simulated findings are of it, whatever a study adds
    return Source(
        images=tables.check(tables.fill(images, "images"), "images", where="simulated images"),
        labels=tables.check(tables.fill(labels, "labels"), "labels", where="simulated labels", vocabulary=chest),
        regions=tables.check(tables.fill(regions, "regions"), "regions", where="simulated regions", vocabulary=chest),
    )


def _image_row(job: _Job, size: int) -> dict[str, object]:
    visit, device = job.visit, job.visit.acquisition.device
    return {
        "image_id": visit.image_id,
        "case_id": visit.image_id,
        "patient_id": visit.patient_id,
        "site": visit.site,
        "dataset": "simulated",
        "split": "",
        "view": visit.acquisition.view,
        "sex": visit.patient.sex,
        "age_years": float(int(visit.patient.age_years)),
        "manufacturer": device.manufacturer,
        "device": device.model,
        "acquired": visit.acquired,
        "rows": size,
        "columns": size,
        "pixel_mm": round(visit.acquisition.field_cm * 10.0 / size, 5),
        "path": job.path,
    }


def _label_rows(visit: Visit, stated: Sequence[str]) -> list[tuple[str, str, str, str, float | None]]:
    rows: list[tuple[str, str, str, str, float | None]] = []
    for name, state in visit.report.items():
        if name in stated:
            rows.append((visit.image_id, name, "report", state, None))
    for name, severity in visit.severities.items():
        if name in stated:
            rows.append((visit.image_id, name, "truth", "present" if severity > 0 else "absent", severity))
    if "no_finding" in stated:
        healthy = {"report": set(visit.report.values()) == {"absent"}, "truth": not any(visit.severities.values())}
        rows += [
            (visit.image_id, "no_finding", source, "present" if well else "absent", None)
            for source, well in healthy.items()
        ]
    return rows


def _region_rows(job: _Job, out: Path, stated: Sequence[str]) -> list[tuple[object, ...]]:
    found = read_json(_regions_path(out, job), dict[str, list[list[float]]])
    return [
        (job.visit.image_id, name, "truth", number, *box)
        for name, boxes in found.items()
        if name in stated
        for number, box in enumerate(boxes, start=1)
    ]
