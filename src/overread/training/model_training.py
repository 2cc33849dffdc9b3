"""Training of a model on a cohort, and the model folder with frozen operating points."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from overread import findings, runs, tables, threads
from overread.cohort import Cohort
from overread.errors import InputError
from overread.images.store.pixel_store import open_store
from overread.tables.records.configuration import with_settings
from overread.training.compute_device import fast_bf16, resolved_precision, start_fabric
from overread.training.fitting import checkpoint, tuning
from overread.training.fitting.examples import (
    Examples,
    chosen_labels,
    limit_images,
    outputs_of,
    prevalences,
    select_images,
    truth_of,
)
from overread.training.fitting.loop import Fitted, Progress, Task, fit, repeatable
from overread.training.fitting.loss import positive_weights
from overread.training.fitting.operating_choice import freeze, probability
from overread.training.networks.architectures import Architecture, build
from overread.training.networks.model_folder import write_record
from overread.training.networks.weights import load_weights
from overread.training.training_config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Selection:
    """The images and the name of a training, as given by the caller."""

    sites: tuple[str, ...] | None
    max_images: int | None
    name: str
    protocol_hash: str


def train(
    cohort: Path | str | Cohort,
    out: Path | str = "model",
    config: TrainingConfig | None = None,
    *,
    sites: Sequence[str] | None = None,
    max_images: int | None = None,
    name: str = "model",
    protocol_hash: str = "",
    progress: Progress | None = None,
    **settings: Any,
) -> Path:
    """Train a network on a cohort and write the model folder.

    The network is trained on the split "train" of the sites. The epoch with the best AUC on the split "tune" is kept,
    and recalibration and operating points are fitted on "tune" and frozen.

    Parameters
    ----------
    cohort : path or Cohort
        The cohort.
    out : path
        The folder of the model.
    config : TrainingConfig, optional
        The settings of training; by default the vocabulary is that of the cohort.
    sites : sequence of str, optional
        The sites for training and tuning; None = all.
    max_images : int, optional
        Largest number of training images; complete patients are drawn at random.
    name : str
        The name of the model in model.json.
    protocol_hash : str
        Hash of the protocol under which the model is trained.
    progress : callable, optional
        Called with steps done, total steps, and a line at the end of each epoch.
    **settings
        Fields of TrainingConfig that replace those of `config`, such as epochs=5.

    Returns
    -------
    Path
        `out`, with weights.safetensors, model.json, train_patients.txt, history.parquet (one row per epoch),
        tune.parquet (logit, score and truth of every tune image and finding) and run.json.

    Raises
    ------
    InputError
        No images or no finding to learn, two sources that label the same case and finding, weights that do not match
        the network, a loss that is not finite, a folder that holds another training.
    WriteError
        The disk is full; the last checkpoint is kept.

    Notes
    -----
    The best epoch has the largest mean over training sites and findings of the within-site AUC.

    A complete training with the same settings and inputs is not repeated. An interrupted training is resumed, and gives
    identical bits on the same machine and versions: it uses the number of threads with which it was started, unless
    OMP_NUM_THREADS gives another. Changed conditions are logged and noted in run.json.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        ov.train("cohort", "model", epochs=5)
    """
    cohort_folder, out = Path(cohort), Path(out)
    config = with_settings(config or TrainingConfig(vocabulary=runs.vocabulary(cohort_folder)), settings, "train")
    selection = Selection(None if sites is None else tuple(sites), max_images, name, protocol_hash)
    precision = resolved_precision(config.precision)
    resolved = {
        **runs.plain(config),
        "sites": None if sites is None else list(sites),
        "max_images": max_images,
        "name": name,
    }
    inputs = {key: cohort_folder / file for key, file in _FILES.items()}
    if config.weights not in (None, "imagenet"):
        inputs["weights"] = Path(str(config.weights))
        runs.check_file(inputs["weights"])
    _check_cohort(cohort_folder)
    fingerprint = runs.fingerprint(resolved, inputs)
    if runs.complete(out, fingerprint):
        with contextlib.suppress(FileNotFoundError):  # several processes may come here at once
            checkpoint.remove(out)  # where the run was killed before the last line
        return out
    _check_out(out, fingerprint)
    count = threads.resumed(f"The training in {out}", checkpoint.begun_with(out))
    with threads.computing(count), repeatable():
        fabric = start_fabric(precision)
        with _run(fabric, out, resolved, inputs, config.seed) as run:
            task, facts = prepare(cohort_folder, out, config, selection, fingerprint=fingerprint)
            torch.manual_seed(config.seed)
            network = build(task.architecture)
            facts["weights"] = _initialise(network, config, task.findings)
            fitted = fit(task, network, fabric, precision=precision, progress=progress)
            if run is not None:
                _note(run, task, fitted, facts, precision)
                for path in finish(task, network, fitted, facts | {"precision": precision}, fabric=fabric):
                    run.output(path)
        fabric.barrier()
        if run is not None:
            checkpoint.remove(out)  # after run.json: until then a kill costs no epoch
    return out


_WRITTEN = (
    "weights.safetensors",
    "model.json",
    "train_patients.txt",
    "history.parquet",
    "tune.parquet",
    checkpoint.FOLDER,
)
_FILES = {"images": "images.parquet", "labels": "labels.parquet", "recipe": "pixels/recipe.json"}


def _initialise(network: torch.nn.Module, config: TrainingConfig, findings: Sequence[str]) -> list[str]:
    """Load the initial weights, if there are any, and say what was taken from them."""
    return list(load_weights(network, config.weights, findings=findings)) if config.weights else ["Random weights."]


def prepare(
    cohort_folder: Path, out: Path, config: TrainingConfig, selection: Selection, *, fingerprint: str
) -> tuple[Task, dict[str, Any]]:
    """Return the images, labels and weights of a training, and the facts about them for model.json."""
    images = tables.read(cohort_folder / "images.parquet", "images")
    labels = tables.read(cohort_folder / "labels.parquet", "labels", vocabulary=config.vocabulary)
    labels = chosen_labels(labels, sources=config.sources)
    chosen = select_images(images, split="train", sites=selection.sites)
    if selection.max_images is not None:
        chosen = limit_images(chosen, selection.max_images, rng=np.random.default_rng(config.seed))
    tuned = select_images(images, split="tune", sites=selection.sites)
    _check_apart(chosen, tuned)
    findings, not_outputs = outputs_of(chosen, labels, config)
    train_set = Examples(chosen, truth_of(chosen, labels, findings, policy=config.policy))
    tune_set = Examples(tuned, truth_of(tuned, labels, findings, policy=config.policy))
    weights = positive_weights(train_set.truth, cap=config.positive_weight_cap)
    store = open_store(cohort_folder)
    architecture = Architecture(config.network, config.channels, len(findings), config.input_normalisation)
    task = Task(config, architecture, store, train_set, tune_set, findings, weights, fingerprint, out)
    facts = {
        "name": selection.name,
        "protocol_hash": selection.protocol_hash,
        "not_outputs": not_outputs,
        "training_sites": chosen["site"].unique().sort().to_list(),
        "label_sources": list(config.sources) or labels["source"].cast(pl.String).unique().sort().to_list(),
        "prevalence": prevalences(train_set, findings),
        "positive_weights": dict(zip(findings, weights.tolist(), strict=True)),
    }
    return task, facts


def finish(
    task: Task, network: torch.nn.Module, fitted: Fitted, facts: dict[str, Any], *, fabric: Fabric
) -> list[Path]:
    """Write the model folder from the best epoch: weights, tune.parquet and frozen values; model.json is written
    last.
    """
    out, config = task.folder, task.config
    best = out / checkpoint.FOLDER / "best.safetensors"
    network.load_state_dict(load_file(best))
    logits = tuning.frozen_logits(
        network, task.store, task.tune, task.architecture, device=fabric.device, batch_size=config.batch_size
    )
    frozen = freeze(
        task.findings,
        logits,
        task.tune.truth.astype(np.float64),
        cluster=task.tune.images["patient_id"].to_numpy(),
        specificities=config.specificities,
        sensitivities=config.sensitivities,
        positive_weights=facts["positive_weights"],
    )
    patients = task.train.images["patient_id"].unique().sort().to_list()
    paths = [
        checkpoint.save_weights(network, out / "weights.safetensors"),
        tables.write_text(out / "train_patients.txt", "".join(f"{p}\n" for p in patients)),
        tables.write_frame(pl.DataFrame(fitted.position.history), out / "history.parquet"),
        tables.write(
            tune_frame(task, logits, frozen, facts["name"]),
            out / "tune.parquet",
            "predictions",
            vocabulary=config.vocabulary,
        ),
    ]
    reasons = facts.pop("not_outputs")
    record = {
        "kind": "single",
        "architecture": task.architecture.to_dict(),
        "findings": list(task.findings),
        "vocabulary": findings.record_of(config.vocabulary, full=True),
        "not_outputs": list(reasons),
        "not_outputs_because": reasons,
        "recipe": task.store.recipe.to_dict(),
        "seed": config.seed,
        "best_epoch": fitted.position.best_epoch,
        "epochs": fitted.position.epoch,
        "n_train_images": len(task.train),
        "n_train_patients": len(patients),
        **facts,
        **frozen,
    }
    return [*paths, write_record(out, record)]


def tune_frame(task: Task, logits: NDArray[np.float64], frozen: dict[str, Any], name: str) -> pl.DataFrame:
    """Tune as predictions: image_id, patient_id, finding, model, shift, score, logit, truth (null = not stated)."""
    frames = []
    for column, finding in enumerate(task.findings):
        truth = task.tune.truth[:, column].astype(np.float64)
        frames.append(
            task.tune.images.select("image_id", "patient_id").with_columns(
                finding=pl.lit(finding),
                model=pl.lit(name),
                shift=pl.lit("none"),
                score=pl.Series(probability(logits[:, column], frozen["recalibration"][finding])),
                logit=pl.Series(logits[:, column]),
                truth=pl.Series(truth, nan_to_null=True),
            )
        )
    return pl.concat(frames)


@contextlib.contextmanager
def _run(
    fabric: Fabric, out: Path, config: dict[str, Any], inputs: dict[str, Path], seed: int
) -> Iterator[runs.Run | None]:
    """The run of the first process; the others have none."""
    if not fabric.is_global_zero:
        yield None
        return
    with runs.claimed(out, "train", _WRITTEN):
        _check_out(out, runs.fingerprint(config, inputs))  # again: another process may have ended meanwhile
        with runs.start(out, "train", config=config, inputs=inputs, seed=seed) as run:
            yield run


def _note(run: runs.Run, task: Task, fitted: Fitted, facts: dict[str, Any], precision: str) -> None:
    position = fitted.position
    if fitted.resumed:
        run.note("resumed", fitted.resumed)
    run.note("stopped", fitted.stopped)
    best = position.history[position.best_epoch - 1]
    run.note("best_epoch", {k: best[k] for k in ("epoch", "tune_auc", "tune_loss")})
    if not np.isfinite(best["tune_auc"]):
        run.note("chosen_by", "tune loss: no finding has both classes within a site of tune, so that there is no AUC")
    run.note("positive_weights", facts["positive_weights"])
    run.note("not_outputs", facts["not_outputs"])
    run.note("weights", facts["weights"])
    run.note("precision", {"used": precision, "fast_bf16": fast_bf16()})
    run.note("computing", fitted.around)
    run.note("images", {"train": len(task.train), "tune": len(task.tune)})


def _check_cohort(folder: Path) -> None:
    missing = [file for file in _FILES.values() if not (folder / file).is_file()]
    if missing:
        raise InputError(folder, "a cohort folder", f"{len(missing)} files missing", examples=missing)
    runs.check(folder)


def _check_out(out: Path, fingerprint: str) -> None:
    """Refuse to overwrite a complete model."""
    if (out / "model.json").is_file() and (out / "run.json").is_file():
        record = runs.read(out)
        if record.get("status") == "complete" and record.get("fingerprint") != fingerprint:
            raise InputError(
                out,
                "an empty folder, or one of this same training",
                "a model of another training",
                do="Choose another folder, or remove this one.",
            )


def _check_apart(train_images: pl.DataFrame, tune_images: pl.DataFrame) -> None:
    both = sorted(set(train_images["patient_id"]) & set(tune_images["patient_id"]))
    if both:
        found = f"{len(both)} patients in both train and tune"
        raise InputError("cohort", "each patient in one split", found, examples=both, do="Split it again by patient.")
