"""Ensembles: the mean logit of several models, with recalibration and operating points of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import findings, integrity, runs, tables, threads
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.training.fitting.operating_choice import freeze, probability
from overread.training.networks.model_folder import Model, open_model, write_record

# What the members must have in common for their mean to be of one thing.
_SHARED = ("findings", "vocabulary", "not_outputs", "recipe", "training_sites")
# What is told of their training, the same of all or not.
_FACTS = (
    "seed",
    "not_outputs_because",
    "label_sources",
    "precision",
    "n_train_images",
    "n_train_patients",
)


def combine(out: Path | str, members: Sequence[Path | str], name: str) -> Path:
    """Combine trained models into an ensemble and write its model folder.

    The logit of the ensemble is the mean logit of its members; recalibration and operating points are fitted on the
    mean tune logits.

    Parameters
    ----------
    out : path
        The folder of the ensemble; it may contain the folders of its members.
    members : sequence of path
        Folders of single models that were trained on the same sites and tuned on the same images.
    name : str
        The name of the ensemble; its members have predictions under ``name/folder``.

    Returns
    -------
    Path
        `out`, with model.json (kind "ensemble", members as relative paths with the hashes of their weights),
        train_patients.txt (of all members), tune.parquet and run.json. A complete ensemble is not written again.

    Raises
    ------
    InputError
        Fewer than two members, a member twice, members with different findings, recipes, sites or tune images.
    """
    out, folders = Path(out), [Path(m) for m in members]
    _check_folders(folders)
    opened = [open_model(folder) for folder in folders]
    for folder in folders:
        runs.check_if_run(folder)
    _check_agreement(opened)
    config = {"name": name, "members": [f.name for f in folders]}
    inputs = {f"{m.folder.name}/{key}": path for m in opened for key, path in m.files().items()}
    inputs |= {f"{f.name}/tune.parquet": f / "tune.parquet" for f in folders}
    vocabulary = opened[0].vocabulary
    tune = mean_tune([f / "tune.parquet" for f in folders], findings=opened[0].outputs, vocabulary=vocabulary)
    if runs.complete(out, runs.fingerprint(config, inputs)):
        return out
    with (
        threads.computing(),
        runs.claimed(out, "ensemble", ("model.json", "train_patients.txt", "tune.parquet")),
        runs.start(out, "ensemble", config=config, inputs=inputs) as run,
    ):
        record = _record(out, opened, name) | _frozen(tune, opened)
        patients = sorted(frozenset[str]().union(*(m.train_patients for m in opened)))
        run.output(tables.write_text(out / "train_patients.txt", "".join(f"{p}\n" for p in patients)))
        made = _tune_frame(tune, record, name)
        run.output(tables.write(made, out / "tune.parquet", "predictions", vocabulary=vocabulary))
        run.note("vocabulary", findings.record_of(vocabulary))
        run.output(write_record(out, record))
    return out


def mean_tune(paths: Sequence[Path], *, findings: Sequence[str], vocabulary: Vocabulary) -> pl.DataFrame:
    """The members' mean logit on tune: image_id, patient_id, finding, truth (null = not stated), logit.

    Raises InputError where the members were not tuned on the same images with the same truth.
    """
    key = ["image_id", "patient_id", "finding", "truth"]
    frames = [_member_tune(path, vocabulary).filter(pl.col("finding").is_in(list(findings))) for path in paths]
    first = frames[0].select(key).sort(key)
    for path, other in zip(paths[1:], frames[1:], strict=True):
        if not first.equals(other.select(key).sort(key)):
            raise InputError(
                path,
                f"the tune images and truths of {paths[0]}",
                "others",
                do="The members of an ensemble are tuned on one tune split; train them on the same cohort.",
            )
    return pl.concat(frames).group_by(key).agg(pl.col("logit").mean()).sort("image_id", "finding")


def _member_tune(path: Path, vocabulary: Vocabulary) -> pl.DataFrame:
    frame = tables.read(path, "predictions", vocabulary=vocabulary)
    lacking = [c for c in ("logit", "truth", "patient_id") if c not in frame.columns]
    if lacking:
        raise InputError(path, "a tune.parquet as training writes it", "columns missing", examples=lacking)
    return frame.select("image_id", "patient_id", "finding", pl.col("truth").cast(pl.Float64), "logit")


def _check_folders(folders: Sequence[Path]) -> None:
    if len(folders) < 2:
        raise InputError("ensemble", "at least two members", f"{len(folders)}")
    names = [f.name for f in folders]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError("ensemble", "members whose folders have different names", "the same name", examples=twice)


def _check_agreement(members: Sequence[Model]) -> None:
    first, problems = members[0], []
    for member in members:
        if member.kind != "single":
            problems.append(InputError(member.folder, "a single model as member of an ensemble", "an ensemble"))
        for key in _SHARED:
            if member.record.get(key) != first.record.get(key):
                expected = f"the {key} of {first.name} ({first.record.get(key)})"
                problems.append(InputError(member.folder, expected, str(member.record.get(key))))
    if problems:
        raise InputError.all(problems)


def _record(out: Path, members: Sequence[Model], name: str) -> dict[str, Any]:
    """Return model.json without frozen values; a value in which members differ is kept as a list."""
    kept = {key: members[0].record[key] for key in _SHARED if key in members[0].record}
    facts = {}
    for key in _FACTS:
        values = [m.record.get(key) for m in members]
        facts[key] = values[0] if all(v == values[0] for v in values) else values
    paths = [os.path.relpath(m.folder.resolve(), out.resolve()) for m in members]
    weights = [integrity.file_hash(m.folder / "weights.safetensors") for m in members]
    prevalences = [m.record.get("prevalence") or {} for m in members]
    own = {
        "name": name,
        "kind": "ensemble",
        "members": paths,
        "member_weights": dict(zip(paths, weights, strict=True)),
        "positive_weights": _means([m.record.get("positive_weights") or {} for m in members]),
        "prevalence": {site: _means([p.get(site, {}) for p in prevalences]) for site in prevalences[0]},
        "protocol_hash": ", ".join(dict.fromkeys(m.record.get("protocol_hash") or "" for m in members)),
    }
    return own | {"architecture": members[0].record["architecture"]} | kept | facts


def _means(stated: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Average over members, which may have different training images, by key; null if no member has a value."""
    means: dict[str, float | None] = {}
    for key in dict.fromkeys(k for values in stated for k in values):
        known = [v for values in stated if (v := values.get(key)) is not None]
        means[key] = sum(known) / len(known) if known else None
    return means


def _frozen(tune: pl.DataFrame, members: Sequence[Model]) -> dict[str, Any]:
    outputs = members[0].outputs
    names = members[0].record["operating_points"][outputs[0]]
    logits, truth, patients = matrices(tune, findings=outputs)
    return freeze(
        outputs,
        logits,
        truth,
        cluster=patients,
        specificities=[p["target"] for n, p in names.items() if n.startswith("spec")],
        sensitivities=[p["target"] for n, p in names.items() if n.startswith("sens")],
        positive_weights={f: _geometric_mean([_weight(m, f) for m in members]) for f in outputs},
    )


def _weight(member: Model, finding: str) -> float:
    """The weight of a present label in the training of a member."""
    weight = (member.record.get("positive_weights") or {}).get(finding)
    return 1.0 if weight is None else float(weight)


def _geometric_mean(weights: Sequence[float]) -> float:
    """The weight that is in a mean logit: each logit has the logarithm of its own."""
    return float(np.exp(np.mean(np.log(weights))))


def matrices(
    tune: pl.DataFrame, *, findings: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """Return logits and truth (NaN = no label), both (n_images, n_findings), and the patient of each image."""
    wide = tune.pivot(on="finding", index=["image_id", "patient_id"], values=["logit", "truth"]).sort("image_id")

    def block(value: str) -> NDArray[np.float64]:
        return wide.select(pl.col(f"{value}_{f}").cast(pl.Float64).fill_null(np.nan) for f in findings).to_numpy()

    return block("logit"), block("truth"), wide["patient_id"].to_numpy()


def _tune_frame(tune: pl.DataFrame, record: dict[str, Any], name: str) -> pl.DataFrame:
    parts = [
        own.with_columns(pl.Series("score", probability(own["logit"].to_numpy(), record["recalibration"][finding])))
        for (finding,), own in tune.partition_by("finding", as_dict=True, maintain_order=True).items()
    ]
    return pl.concat(parts).with_columns(pl.lit(name).alias("model"), pl.lit("none").alias("shift"))
