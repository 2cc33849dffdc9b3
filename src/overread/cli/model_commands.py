"""Commands on a model: `train` and `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overread.cli.arguments import configuration, verified, vocabulary
from overread.cli.options import Changes, Config, Out, Outside, Verify, Workers, processes
from overread.cli.terminal import put, say, shown

if TYPE_CHECKING:
    from overread.protocol import PredictionResult


def train(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="The folder of a cohort.")],
    out: Out,
    site: Annotated[
        list[str] | None, typer.Option(metavar="SITE", help="A site to train on; may be repeated. Default: all.")
    ] = None,
    network: Annotated[str, typer.Option(help="densenet121, densenet-small, densenet-tiny or timm:NAME.")] = "",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of initial weights, order of images and augmentation.")] = None,
    max_images: Annotated[
        int | None, typer.Option(help="Largest number of training images; patients are kept whole.")
    ] = None,
    name: Annotated[str, typer.Option(help="The name of the model.")] = "model",
    config: Config = None,
    changes: Changes = None,
    verify: Verify = False,
) -> None:
    """Train a classifier on a cohort, choose the epoch on its tune split, and freeze its operating points."""
    from overread.training.model_training import train
    from overread.training.training_config import TrainingConfig

    verified(verify, cohort)
    given = {"network": network or None, "epochs": epochs, "seed": seed}
    chosen = configuration(TrainingConfig, "training", config, changes, given, words=vocabulary(config, cohort))
    with shown() as show:

        def told(done: int, total: int, line: str) -> None:
            show(f"train {name}", done, total)
            if line:
                say(line)

        train(cohort, out, chosen, sites=site, max_images=max_images, name=name, progress=told)
    put(f"Model: {out.resolve()}")


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a model.")],
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            help="The folder of a cohort, or PNG, JPEG and DICOM files and folders of them.",
        ),
    ],
    out: Out,
    site: Annotated[
        list[str] | None, typer.Option(metavar="SITE", help="A site of the cohort; may be repeated. Default: all.")
    ] = None,
    heatmaps: Annotated[
        bool | None,
        typer.Option(
            "--heatmaps/--no-heatmaps",
            help="Write Grad-CAM for every finding of every image; for image files also overlays as PNG, for every "
            "finding that is called present. Default: yes for a cohort, no for image files.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Number of images in one pass.")] = 64,
    max_unreadable: Annotated[float, typer.Option(help="Share of image files that may be unreadable.")] = 0.0,
    workers: Workers = None,
    allow_outside: Outside = False,
    verify: Verify = False,
) -> None:
    """Score every finding of the images of a cohort, or of plain image files, with a frozen model."""
    from overread.protocol import PredictionConfig, predict
    from overread.protocol.prediction_stage import is_cohort

    of_cohort = len(source) == 1 and is_cohort(source[0])
    verified(verify, model, *(source if of_cohort else ()))
    with shown() as progress:
        made = predict(
            model,
            source,
            out=out,
            heatmaps=of_cohort if heatmaps is None else heatmaps,
            config=PredictionConfig(
                tuple(site) if site else None, batch_size, max_unreadable, processes(workers), allow_outside
            ),
            progress=progress,
        )
    _print_counts(made, out, of_cohort=of_cohort)


def _print_counts(made: PredictionResult, out: Path, *, of_cohort: bool) -> None:
    """Print what was scored, what was not and why, and where the results are."""
    if not of_cohort:
        put(f"{made.frame['image_id'].n_unique():,} images were scored.")
        for what, files in (
            ("images could not be read", made.unreadable),
            ("other files are not images", made.excluded),
        ):
            for reason, count in (
                files["reason"].value_counts().sort("count", "reason", descending=[True, False]).rows()
            ):
                put(f"{count:,} {what}: {reason}")
        put(
            "Image files do not identify patients, so overread could not check whether one was in the training set of "
            "the model."
        )
        if made.overlays.height:
            put(f"{made.overlays.height:,} overlays: {(out / 'overlays').resolve()}")
    put(f"Predictions: {(out / 'predictions.parquet').resolve()}")
