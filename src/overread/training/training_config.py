"""Configuration of training, without torch, so that protocols can be read where torch is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

from overread import limits
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.integrity import file_hash

NETWORKS = ("densenet121", "densenet-small", "densenet-tiny")
POLICIES = ("ignore", "absent", "present")
PRECISIONS = ("auto", "32-true", "bf16-mixed")
_POINTS = 100  # operating points of one kind
NORMALISATIONS = ("unit", "imagenet", "torchxrayvision")
IMAGENET_HASH = "a639ec97"  # the first digits of the SHA-256 of torchvision's file, as its public name gives them
# Normalisation of the images that a weight file was trained on, by the first digits of the file's SHA-256.
NORMALISATION_OF_FILE = {IMAGENET_HASH: "imagenet"}


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strengths of the random changes of training images; 0 disables a change.

    Images are never mirrored, because the side of the heart is diagnostic information.

    Attributes
    ----------
    rotation : float
        Largest angle in degrees, in either direction.
    shift : float
        Largest shift as a fraction of the side.
    scale, gamma, contrast : float
        Largest relative change; 0.1 means from 1/1.1 to 1.1, uniform on a log scale.
    brightness : float
        Largest change in units of the grey range 0 to 1.
    noise : float
        Largest standard deviation of the noise in units of the grey range, uniform from 0; applied to half of the
        images.
    blur : float
        Largest standard deviation of the blur in pixels; applied to half of the images.
    """

    rotation: float = 7.0
    shift: float = 0.05
    scale: float = 0.10
    gamma: float = 0.20
    contrast: float = 0.15
    brightness: float = 0.05
    noise: float = 0.02
    blur: float = 0.0

    @classmethod
    def none(cls) -> Augmentation:
        """Return strengths that leave images unchanged."""
        return cls(**{f.name: 0.0 for f in fields(cls)})


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of training, other than the cohort and the sites.

    Parameters
    ----------
    network : str
        "densenet121", "densenet-small", "densenet-tiny" (for tests) or "timm:NAME".
    channels : {1, 3}
        Number of input channels.
    weights : str, optional
        Initial weights: None (random), "imagenet" (downloaded) or the path of a weight file.
    normalisation : str
        Normalisation of the input: "unit", "imagenet" or "torchxrayvision". "" = "imagenet" for the ImageNet weights of
        torchvision (also as a file, recognised by its SHA-256) and "unit" for random weights; required for other files.
    epochs : int
        Largest number of passes over the training images; not used if `steps` are given.
    steps : int
        Number of steps of the optimiser, the last pass being cut; 0 = as many as `epochs` have. With equal steps,
        models that learn from fewer images are trained as long as others; training is then not stopped early.
    batch_size : int
        Images per step, over all processes.
    learning_rate : float
        Peak learning rate of AdamW, with linear warm-up and cosine decay.
    weight_decay : float
        Weight decay of kernels; norms and biases are not decayed.
    warmup_fraction : float
        Share of the steps used for warm-up.
    clip : float
        Largest norm of the gradient; 0 = no clipping.
    ema : float
        Decay per step of the exponential moving average of the weights, which is tuned and kept; 0 = no average.
    precision : {"auto", "32-true", "bf16-mixed"}
        Arithmetic; "auto" = bf16-mixed if the processor or GPU supports bfloat16, else 32-true.
    patience : int
        Epochs without a better tune AUC after which training stops; 0 = no early stopping, as with `steps`.
    seed : int
        Seed of initial weights, order of images, augmentation, and choice of `max_images`.
    findings : tuple of str
        The outputs; () = every finding with present and absent training labels.
    uncertain : mapping of str to {"ignore", "absent", "present"}
        Treatment of uncertain labels by finding; "*" for all others.
    label_source : str or tuple of str
        The label sources for training; "" = all, refused if two label the same case and finding.
    positive_weight_cap : float
        Largest weight of a present label; its weight is the ratio of absent to present labels. 1 = no weighting.
    augmentation : mapping of str to float
        Strengths by name; defaults of `Augmentation` for the others.
    specificities, sensitivities : tuple of float
        The operating points (0 to 1) that are frozen on tune.
    checkpoint_minutes : float
        Minutes between checkpoints, in addition to one at the end of every epoch.
    vocabulary : Vocabulary
        The findings that labels may name, see `overread.findings`; in a file it is the section [findings].

    Raises
    ------
    InputError
        All values that are out of range or unknown, in one error.

    Examples
    --------
    >>> TrainingConfig(network="densenet-small", augmentation={"noise": 0.0}).augmentation["rotation"]
    7.0
    >>> TrainingConfig(network="densnet121")
    Traceback (most recent call last):
    overread.errors.InputError: training.network: expected one of densenet121, ...; found 'densnet121'. Did you mean ...
    """

    network: str = "densenet121"
    channels: int = 1
    weights: str | None = None
    normalisation: str = ""
    epochs: int = 20
    steps: int = 0
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup_fraction: float = 0.05
    clip: float = 1.0
    ema: float = 0.0
    precision: str = "auto"
    patience: int = 5
    seed: int = 0
    findings: tuple[str, ...] = ()
    uncertain: Mapping[str, str] = field(default_factory=lambda: {"*": "ignore"})
    label_source: str | tuple[str, ...] = ""
    positive_weight_cap: float = 10.0
    augmentation: Mapping[str, float] = field(default_factory=dict)
    specificities: tuple[float, ...] = (0.90, 0.95)
    sensitivities: tuple[float, ...] = (0.90, 0.95)
    checkpoint_minutes: float = 10.0
    vocabulary: Vocabulary = field(default_factory=partial(load_vocabulary, "chest"))

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise InputError.all(problems)
        # Stated in full, so that run.json and the protocol's hash hold every strength, also one left at its default.
        object.__setattr__(self, "augmentation", asdict(Augmentation(**dict(self.augmentation))))
        object.__setattr__(self, "uncertain", {"*": "ignore", **dict(self.uncertain)})

    @property
    def strengths(self) -> Augmentation:
        """The strengths of augmentation."""
        return Augmentation(**dict(self.augmentation))

    @property
    def input_normalisation(self) -> str:
        """The normalisation of the input: as given, or that of the weights."""
        return self.normalisation or _normalisation_of(self.weights) or "unit"

    @property
    def sources(self) -> tuple[str, ...]:
        """The label sources for training; () = all."""
        named = (self.label_source,) if isinstance(self.label_source, str) else tuple(self.label_source)
        return tuple(name for name in named if name)

    def policy(self, finding: str) -> str:
        """Return the treatment of uncertain labels of a finding."""
        return self.uncertain.get(finding, self.uncertain["*"])


def _problems(config: TrainingConfig) -> Iterator[InputError]:
    for name, known in (("network", NETWORKS), ("precision", PRECISIONS), ("normalisation", ("", *NORMALISATIONS))):
        value = str(getattr(config, name))
        if value not in known and not (name == "network" and value.startswith("timm:")):
            expected = f"one of {', '.join(k for k in known if k)}" + (", timm:NAME" if name == "network" else "")
            yield InputError(f"training.{name}", expected, repr(value), do=did_you_mean(value, known))
    yield from _wrong_numbers(config)
    if config.weights not in (None, "imagenet") and not os.path.isfile(str(config.weights)):
        expected = "None, 'imagenet' or the path of a weight file"
        yield InputError("training.weights", expected, repr(config.weights), do="No file is there.")
    elif config.weights and not config.normalisation and not _normalisation_of(config.weights):
        yield InputError(
            "training.normalisation",
            f"one of {', '.join(NORMALISATIONS)}, as the network of {config.weights} expects",
            "none, and the file is not one whose normalisation is known",
            do="unit: mean 0.5, deviation 0.25; imagenet: torchvision's means and deviations; torchxrayvision: values "
            "from -1024 to 1024.",
        )
    if config.weights == "imagenet" and config.network != "densenet121":
        yield InputError(
            "training.weights", "a file made for that network", "'imagenet', which is for densenet121 only"
        )
    for name in (*config.findings, *(n for n in config.uncertain if n != "*")):
        if name not in config.vocabulary.names():
            hint = did_you_mean(name, config.vocabulary.names())
            yield InputError("training.findings", "findings of the vocabulary", repr(name), do=hint)
    if len(set(config.findings)) < len(config.findings):
        yield InputError("training.findings", "each finding once", ", ".join(config.findings))
    for name, policy in config.uncertain.items():
        if policy not in POLICIES:
            hint = did_you_mean(str(policy), POLICIES)
            yield InputError(f"training.uncertain.{name}", f"one of {', '.join(POLICIES)}", repr(policy), do=hint)
    yield from _wrong_strengths(config.augmentation)


def _normalisation_of(weights: str | None) -> str:
    """Return the normalisation of a source of weights; "" if unknown."""
    if weights is None or weights == "imagenet":
        return weights or "unit"
    return NORMALISATION_OF_FILE.get(file_hash(weights)[: len(IMAGENET_HASH)], "")


def _wrong_numbers(config: TrainingConfig) -> Iterator[InputError]:
    """Check numeric settings; upper limits catch misplaced decimal points."""
    ranges: dict[str, tuple[float, float]] = {
        "epochs": (1, 10_000),
        "steps": (0, 100_000_000),
        "batch_size": (2, 65_536),
        "learning_rate": (1e-8, 10),
        "weight_decay": (0, 10),
        "warmup_fraction": (0, 0.9),
        "clip": (0, 1e6),
        "ema": (0, 0.99999),
        "patience": (0, 10_000),
        "seed": (0, limits.SEED),
        "positive_weight_cap": (1, 1e6),
        "checkpoint_minutes": (0.001, 1e6),
    }
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if not limits.is_number(value) or not low <= value <= high:
            yield InputError(f"training.{name}", f"a number from {low:g} to {high:g}", limits.shown(value))
        elif name in ("epochs", "steps", "batch_size", "patience", "seed") and value != int(value):
            yield InputError(f"training.{name}", "a whole number", repr(value))
    if config.channels not in (1, 3):
        yield InputError("training.channels", "1 or 3", limits.shown(config.channels))
    for name in ("specificities", "sensitivities"):
        wrong = [v for v in getattr(config, name) if not limits.is_number(v) or not 0 < v < 1]
        if len(getattr(config, name)) > _POINTS:
            yield InputError(f"training.{name}", f"at most {_POINTS}", f"{len(getattr(config, name)):,}")
        if wrong:
            yield InputError(
                f"training.{name}",
                "fractions between 0 and 1",
                f"{len(wrong)} others",
                examples=map(limits.shown, wrong),
            )


def _wrong_strengths(strengths: Mapping[str, Any]) -> Iterator[InputError]:
    known = [f.name for f in fields(Augmentation)]
    largest = {"rotation": 180.0, "shift": 1.0, "scale": 4.0, "gamma": 4.0, "contrast": 4.0, "blur": 20.0}
    for name, value in strengths.items():
        where = "training.augmentation"
        if name not in known:
            yield InputError(where, f"any of {', '.join(known)}", repr(name), do=did_you_mean(name, known))
        elif not limits.is_number(value) or not 0 <= value <= largest.get(name, 1.0):
            yield InputError(f"{where}.{name}", f"a number from 0 to {largest.get(name, 1.0):g}", limits.shown(value))
