"""Prediction of a model for the images of a cohort or for image files."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from overread import limits, runs, tables, threads
from overread.errors import InputError
from overread.images.store import pixel_store
from overread.images.store.decode_worker import part_key
from overread.images.store.unreadable_images import problems
from overread.protocol.image_files import ImageFiles, list_images
from overread.tables.records.configuration import with_settings

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, how much there is."""

EXTRA = ("predictions.csv", "unreadable.csv", "excluded.csv", "overlays.csv", "overlays")
"""What a prediction for image files writes, besides the files of a prediction for a cohort."""

_OVERLAY_FILE = re.compile(r"[A-Za-z0-9._-]+\.png")
_MAX_UNREADABLE = "max_unreadable (--max-unreadable)"


@dataclass(frozen=True, slots=True)
class PredictionConfig:
    """Settings of a prediction.

    Parameters
    ----------
    sites : tuple of str, optional
        The sites of a cohort to be scored; None = all. Image files have no site.
    batch_size : int
        Images per pass through the network.
    max_unreadable : float
        Largest share (0 to 1) of image files that may be unreadable; above it nothing is predicted.
    workers : int
        Processes that read image files, with limits on time and memory per file; 0 = this process, without limits. In a
        script, one or more require that the call is under `if __name__ == "__main__":`.
    allow_outside : bool
        Whether links in the folder of image files may lead out of it.

    Raises
    ------
    InputError
        All values out of range, in one error.
    """

    sites: tuple[str, ...] | None = None
    batch_size: int = 64
    max_unreadable: float = 0.0
    workers: int = 0
    allow_outside: bool = False

    def __post_init__(self) -> None:
        found = limits.outside("batch_size", self.batch_size, 1, 65536, whole=True)
        found += limits.outside("max_unreadable", self.max_unreadable, 0, 1)
        found += limits.outside("workers", self.workers, 0, limits.PROCESSES, whole=True)
        if found:
            raise InputError.all(found)


@dataclass(frozen=True, slots=True)
class PredictionResult:
    """The result of `predict`.

    Attributes
    ----------
    frame : DataFrame
        The table of predictions: image_id, finding, model, shift, score, logit.
    unreadable : DataFrame
        image_id, path and reason of every image file that could not be read.
    excluded : DataFrame
        path and reason of every other file of the folder, which is not an image.
    overlays : DataFrame
        image_id, finding, score, threshold and file of every overlay.
    folder : Path or None
        The folder of the results; None if none was requested.
    """

    frame: pl.DataFrame
    unreadable: pl.DataFrame
    excluded: pl.DataFrame
    overlays: pl.DataFrame
    folder: Path | None

    def __repr__(self) -> str:
        images, findings = (self.frame[c].n_unique() if self.frame.width else 0 for c in ("image_id", "finding"))
        place = f" in {self.folder}" if self.folder is not None else ""
        counts = (("unreadable", self.unreadable), ("not images", self.excluded), ("overlays", self.overlays))
        others = [f"{frame.height:,} {what}" for what, frame in counts if frame.height]
        return f"Predictions{place}: " + "; ".join([f"{images:,} images, {findings:,} findings", *others])


_EMPTY = PredictionResult(
    pl.DataFrame(),
    pl.DataFrame(schema={"image_id": pl.String, "path": pl.String, "reason": pl.String}),
    pl.DataFrame(schema={"path": pl.String, "reason": pl.String}),
    pl.DataFrame(
        schema={
            "image_id": pl.String,
            "finding": pl.String,
            "score": pl.Float64,
            "threshold": pl.Float64,
            "file": pl.String,
        }
    ),
    None,
)


def predict(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str] | None = None,
    heatmaps: bool = False,
    config: PredictionConfig | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> PredictionResult:
    """Score every finding of every image with a frozen model.

    Parameters
    ----------
    model : path
        The folder of the model.
    source : path or sequence of paths
        The folder of a cohort, whose tune and test images are scored; or a folder of PNG, JPEG and DICOM files,
        searched recursively; or several such files and folders.
    out : path, optional
        The folder for the results; None = results are only returned.
    heatmaps : bool
        Whether to write Grad-CAM for every finding of every image. For image files, overlays are also written: one PNG
        per image and finding with a score at or above the frozen threshold of the model (the operating point with the
        lowest specificity, or else with the lowest sensitivity).
    config : PredictionConfig, optional
        The settings.
    progress : callable, optional
        Called with the name of the step, the work done, and the total work.
    **settings
        Fields of PredictionConfig that replace those of `config`, such as workers=4.

    Returns
    -------
    PredictionResult
        The predictions, and the files that were not scored with the reason for each.

    Raises
    ------
    InputError
        A model or source that cannot be used, more unreadable files than `config.max_unreadable` allows, heat maps
        without a folder, a cohort that shares patients with the training data of the model.

    Notes
    -----
    Image files are read by the pixel recipe of the model. They do not identify patients, so that overlap with the
    training data cannot be checked. An interrupted prediction is resumed.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        ov.predict("model", "radiographs", out="predictions").frame
    """
    chosen: PredictionConfig = with_settings(config or PredictionConfig(), settings, "predict")
    sources = [Path(p) for p in ([source] if isinstance(source, str | os.PathLike) else source)]
    if not sources:
        raise InputError("predict", "a cohort, a folder, or files", "none")
    if out is None and heatmaps:
        raise InputError("predict", "a folder for heat maps", "none", do="Give the folder as `out`.")
    report = progress or (lambda what, done, total: None)
    call = _cohort if len(sources) == 1 and is_cohort(sources[0]) else _image_files
    if out is not None:
        return call(Path(model), sources, Path(out), heatmaps, chosen, report)
    with _temporary_folder() as folder:
        predictions = call(Path(model), sources, folder, heatmaps, chosen, report)
        return replace(predictions, folder=None)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder for results that nobody asked to keep, removed at the end."""
    with tables.writing(Path(tempfile.gettempdir())):
        folder = Path(tempfile.mkdtemp(prefix="overread-"))
    try:
        yield folder
    finally:
        tables.remove(folder)


def is_cohort(folder: Path) -> bool:
    """Return whether a folder is meant as a cohort: it was written by overread, or it has a pixel store."""
    return runs.is_run(folder) or (folder / "pixels" / "recipe.json").is_file()


def _cohort(
    model: Path, sources: Sequence[Path], out: Path, heatmaps: bool, config: PredictionConfig, report: Progress
) -> PredictionResult:
    from overread.training.scoring.cohort_scores import score_cohort

    score_cohort(
        model,
        sources[0],
        out,
        sites=config.sites,
        heatmaps=heatmaps,
        batch_size=config.batch_size,
        progress=partial(report, "predict"),
    )
    frame = tables.read(out / "predictions.parquet", "predictions", vocabulary=runs.vocabulary(out))
    return replace(_EMPTY, frame=frame, folder=out)


def _image_files(
    model_folder: Path, sources: Sequence[Path], out: Path, heatmaps: bool, config: PredictionConfig, report: Progress
) -> PredictionResult:
    from overread.training.networks.model_folder import open_model
    from overread.training.scoring.prediction_run import MAP_FILE, WRITTEN, clear_staging, only_files, threads_of

    model = open_model(model_folder)
    if config.sites is not None:
        raise InputError("predict", "no sites for image files", f"sites {', '.join(config.sites)}")
    _refuse_within(out, sources)
    files = list_images(sources, allow_outside=config.allow_outside)
    resolved, inputs = _resolved(model, files, heatmaps, config)
    fingerprint = runs.fingerprint(resolved, inputs)
    if not runs.complete(out, fingerprint):
        staging = out / f".partial-{fingerprint[:16]}"
        with (
            threads.computing(threads.resumed(f"The prediction in {out}", threads_of(staging))),
            runs.claimed(out, "predict", (*WRITTEN, *EXTRA)),
            only_files(out / "heatmaps", MAP_FILE),
            only_files(out / "overlays", _OVERLAY_FILE),
            runs.start(out, "predict", config=resolved, inputs=inputs) as run,
        ):
            clear_staging(out, staging)
            _predict_files(run, model, files, staging, config, report)
    return PredictionResult(
        tables.read(out / "predictions.parquet", "predictions", vocabulary=model.vocabulary),
        _read_list(out / "unreadable.csv", _EMPTY.unreadable),
        _read_list(out / "excluded.csv", _EMPTY.excluded),
        _read_list(out / "overlays.csv", _EMPTY.overlays),
        out,
    )


def _predict_files(
    run: runs.Run, model: Any, files: ImageFiles, staging: Path, config: PredictionConfig, report: Progress
) -> None:
    """Read and score the images, draw overlays, and move the results to their place, within a run."""
    from overread.protocol.overlays import draw_overlays
    from overread.training.scoring.prediction_run import compute, publish, scoring_work

    def check(unreadable: pl.DataFrame) -> None:
        share = config.max_unreadable
        if found := problems(unreadable, files.images.height, share, where=files.root, key=_MAX_UNREADABLE):
            raise InputError.all(found)

    images, unreadable = pixel_store.build(
        files.images,
        files.root,
        staging,
        model.recipe,
        workers=config.workers,
        check=check,
        progress=partial(report, "read"),
    )
    if images.is_empty():
        raise InputError(files.root, "at least one image that can be read", f"none of {files.images.height:,}")
    store, heatmaps = pixel_store.open_store(staging), bool(run.record["config"]["heatmaps"])
    work = scoring_work(model, store, images, heatmaps=heatmaps, batch_size=config.batch_size, part_size=_PART)
    compute(run, model, work, staging, progress=partial(report, "predict"))
    frame = tables.read(staging / "predictions.parquet", "predictions", vocabulary=model.vocabulary)
    tables.write_frame(frame.select("image_id", "finding", "model", "score"), staging / "predictions.csv")
    tables.write_frame(unreadable, staging / "unreadable.csv")
    tables.write_frame(files.excluded, staging / "excluded.csv")
    if heatmaps:
        drawn = draw_overlays(model, frame, work.images, store, staging, progress=partial(report, "overlays"))
        tables.write_frame(drawn, staging / "overlays.csv")
    run.note("unreadable", unreadable.height)
    run.note("excluded", files.excluded.height)
    run.note("patients", "not checked: image files do not state whether a patient was in the training of the model")
    publish(run, staging, EXTRA)


_PART = 256  # images per part: what a kill costs at most


def _resolved(
    model: Any, files: ImageFiles, heatmaps: bool, config: PredictionConfig
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the configuration that determines the result, and its inputs; a file counts by path, size and time."""
    from overread.training.scoring.prediction_run import scoring_device
    from overread.training.scoring.score_parts import precision

    ids, paths = files.images["image_id"].to_list(), [files.root / p for p in files.images["path"]]
    resolved = {
        "model": model.name,
        "root": str(files.root),
        "files": part_key(ids, paths, model.recipe)[0],
        "excluded": runs.frame_hash(files.excluded),
        "max_unreadable": config.max_unreadable,
        "heatmaps": heatmaps,
        "batch_size": config.batch_size,
        "device": scoring_device(),
        "precision": precision(model),
    }
    return resolved, {f"model/{name}": path for name, path in model.files().items()}


def _refuse_within(out: Path, sources: Sequence[Path]) -> None:
    """Refuse results inside a folder of images, because the next prediction would score the overlays."""
    for folder in sources:
        if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
            do = "Choose another folder for the results."
            raise InputError(out, f"a folder outside {folder}", "one within it", do=do)


def _read_list(path: Path, like: pl.DataFrame) -> pl.DataFrame:
    if not path.is_file():
        return like
    return tables.load(path).frame.select(like.columns).cast(like.schema)
