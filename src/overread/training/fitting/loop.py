"""The training loop for one CPU, one GPU, or several processes on several machines.

Training is the same for any number of processes, up to rounding: the images of a step are divided among them, and the
loss, the statistics of batch norms and what is drawn for an image are those of one process. Only dropout is not.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from overread.errors import InputError
from overread.images.store.pixel_store import Store
from overread.training.fitting import checkpoint, tuning
from overread.training.fitting.augmentation import augment, draws
from overread.training.fitting.checkpoint import Learner, Position
from overread.training.fitting.examples import Examples, batches, epoch_order
from overread.training.fitting.loss import masked_bce
from overread.training.fitting.loss_watch import LossWatch
from overread.training.networks.architectures import Architecture, normalise, to_unit
from overread.training.networks.global_batch_norm import normalise_globally
from overread.training.repeat_conditions import circumstances
from overread.training.training_config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and a line of text at the end of an epoch ("" in between)."""


@dataclass(frozen=True)
class Task:
    """The fixed inputs of a training."""

    config: TrainingConfig
    architecture: Architecture
    store: Store
    train: Examples
    tune: Examples
    findings: tuple[str, ...]
    positive_weights: NDArray[np.float64]
    fingerprint: str
    folder: Path

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch."""
        return max(1, -(-len(self.train) // self.config.batch_size))

    @property
    def steps(self) -> int:
        """Number of steps in all, if training is not stopped early."""
        return self.config.steps or self.config.epochs * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """Number of epochs in all, if training is not stopped early; of the last one a part may be cut."""
        return -(-self.steps // self.steps_per_epoch)


@dataclass(frozen=True)
class Fitted:
    """Results of training: history, note on resumption, reason for the end, and device."""

    position: Position
    resumed: str
    stopped: str
    around: dict[str, str]


def fit(task: Task, network: nn.Module, fabric: Fabric, *, precision: str, progress: Progress | None = None) -> Fitted:
    """Train the network; the best epoch on tune is in `checkpoints/best.safetensors`, the last state beside it.

    Training is resumed from the last state if there is one.

    Raises
    ------
    InputError
        A loss is not a number, see `LossWatch`; or there are more processes than images in a step.
    """
    config = task.config
    check_processes(task, fabric.world_size)
    if fabric.world_size > 1:
        normalise_globally(network)
    # Measured on a CPU: 1.3 times as fast in float32, 1.3 to 1.5 in bfloat16.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(parameter_groups(network, config.weight_decay), lr=config.learning_rate, fused=True)
    model, wrapped = fabric.setup(network, optimiser)
    average = copy.deepcopy(network).requires_grad_(False) if config.ema else None
    learner = Learner(network, average, optimiser, torch.zeros((), dtype=torch.float64, device=fabric.device))
    around = circumstances(fabric.device, processes=fabric.world_size, precision=precision)
    position, resumed = checkpoint.restore(task.folder, learner, fingerprint=task.fingerprint, around=around)
    fabric.barrier()  # all have read the state before the first writes it again

    def save() -> None:
        if fabric.is_global_zero:
            checkpoint.save(task.folder, learner, position, fingerprint=task.fingerprint, around=around)

    stopped = _why_stop(position, task)
    while not stopped:
        train_epoch(task, fabric, (model, wrapped), learner, position, save=save, progress=progress)
        finish_epoch(task, fabric, learner, position)
        save()
        if progress is not None and fabric.is_global_zero:
            progress(min(position.epoch * task.steps_per_epoch, task.steps), task.steps, _line(position, task))
        stopped = _why_stop(position, task)
    return Fitted(position, resumed, stopped, around)


def train_epoch(
    task: Task,
    fabric: Fabric,
    wrapped: tuple[Any, Any],
    learner: Learner,
    position: Position,
    *,
    save: Callable[[], None],
    progress: Progress | None,
) -> None:
    """Train the remaining steps of an epoch from the position."""
    config, (model, optimiser) = task.config, wrapped
    weights = torch.from_numpy(task.positive_weights).to(fabric.device, torch.float32)
    total, done = task.steps, position.epoch * task.steps_per_epoch
    order = epoch_order(len(task.train), config.batch_size, seed=config.seed, epoch=position.epoch)
    order = order[position.step : total - done]
    mine = [places[fabric.global_rank :: fabric.world_size] for places in order]
    clock = saved = time.monotonic()
    before = position.seconds
    watch = LossWatch(fabric, learner.network, task.train.images["image_id"].to_list(), position.epoch)
    model.train()
    read = batches(task.store, task.train, mine, pin=fabric.device.type == "cuda")
    for whole, places, (pixels, truth) in zip(order, mine, read, strict=True):
        seed_dropout(config.seed, position.epoch, position.step, fabric.global_rank)
        images = to_unit(pixels.to(fabric.device, non_blocking=True))
        drawn = draws(config.seed, position.epoch, places)
        logits = model(normalise(augment(images, config.strengths, drawn), task.architecture))
        labels = int(np.count_nonzero(~np.isnan(task.train.truth[whole])))
        loss = masked_bce(logits, truth.to(fabric.device, non_blocking=True), weights, labels)
        fabric.backward(loss * fabric.world_size)  # DDP divides the sum of the gradients by the number of processes
        if config.clip:
            fabric.clip_gradients(model, optimiser, max_norm=config.clip, error_if_nonfinite=False)
        rate = learning_rate(done + position.step, total, config)
        for group in learner.optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        optimiser.zero_grad()
        if learner.average is not None:
            update_average(learner.average, learner.network, config.ema, done + position.step)
        learner.loss_sum.add_(summed(loss, fabric))
        watch.add(position.step, loss, logits, places)
        position.step += 1
        position.seconds = before + time.monotonic() - clock
        if time.monotonic() - saved > 60 * config.checkpoint_minutes and watch.whole():
            save()
            saved = time.monotonic()
        if progress is not None and fabric.is_global_zero:
            progress(done + position.step, total, "")
    watch.look()


def finish_epoch(task: Task, fabric: Fabric, learner: Learner, position: Position) -> None:
    """Evaluate the network on tune after an epoch, keep it if it is the best, and move the position to the next
    epoch.
    """
    loss = float(learner.loss_sum) / position.step
    logits = _tune_logits(task, fabric, learner.best_of)
    aucs = tuning.within_site_aucs(task.tune, logits.cpu().numpy(), task.findings)
    auc, tune_loss = tuning.mean_auc(aucs), tuning.tune_loss(logits, task.tune.truth)
    reached = auc if math.isfinite(auc) else -tune_loss
    trained = len(task.train) if position.step == task.steps_per_epoch else position.step * task.config.batch_size
    position.epoch += 1
    better = reached > position.best
    position.history.append(
        {
            "epoch": position.epoch,
            "loss": loss,
            "learning_rate": learner.optimiser.param_groups[0]["lr"],
            "tune_auc": auc,
            "tune_loss": tune_loss,
            "best": better,
            "seconds": position.seconds,
            "images_per_second": trained / max(position.seconds, 1e-9),
        }
    )
    if better:
        position.best, position.best_epoch = reached, position.epoch
        if fabric.is_global_zero:
            # Before the state that calls it the best: a stop in between does this epoch again and finds the same.
            checkpoint.save_weights(learner.best_of, task.folder / checkpoint.FOLDER / "best.safetensors")
    position.step, position.seconds = 0, 0.0
    learner.loss_sum.zero_()


def _tune_logits(task: Task, fabric: Fabric, network: nn.Module) -> Tensor:
    """Compute the logits of tune in the arithmetic of training, divided among the processes."""

    def call(inputs: Tensor) -> Tensor:
        with fabric.autocast():
            logits: Tensor = network(inputs)
            return logits

    if fabric.world_size > 1:
        for buffer in network.buffers():  # of norms that are no batch norms; those of the first process are kept
            torch.distributed.broadcast(buffer, 0)
    network.eval()
    logits = tuning.logits_of(
        call,
        task.store,
        task.tune,
        task.architecture,
        device=fabric.device,
        batch_size=task.config.batch_size,
        share=(fabric.global_rank, fabric.world_size),
    )
    network.train()
    summed = fabric.all_reduce(logits, reduce_op="sum") if fabric.world_size > 1 else logits
    assert isinstance(summed, Tensor)
    return summed


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return kernels, with weight decay, and norms and biases, without."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine to 0.

    >>> config = TrainingConfig(learning_rate=1.0, warmup_fraction=0.2)
    >>> [round(learning_rate(step, 10, config), 3) for step in (0, 1, 2, 9)]
    [0.5, 1.0, 0.97, 0.03]
    """
    warmup = round(total * config.warmup_fraction)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup + 1) / (total - warmup + 1)))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Update the moving average of the weights, with a smaller decay in the first steps."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    ours: list[Tensor] = list(average.parameters())
    theirs: list[Tensor] = list(network.parameters())
    torch._foreach_lerp_(ours, theirs, share)
    for mine, current in zip(average.buffers(), network.buffers(), strict=True):
        mine.copy_(current)


def seed_dropout(seed: int, epoch: int, step: int, process: int) -> None:
    """Seed the global generator of torch, from which networks of timm draw dropout and stochastic depth in a step.

    They draw for the images of a process together, so that with them training depends on the number of processes.
    """
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch, step, process]).generate_state(1, np.uint64)[0] >> 1))


def summed(loss: Tensor, fabric: Fabric) -> Tensor:
    """Return the sum of the losses of all processes in float64."""
    total = loss.detach().to(torch.float64, copy=True)
    if fabric.world_size > 1:
        torch.distributed.all_reduce(total)
    return total


def check_processes(task: Task, processes: int) -> None:
    """Refuse more processes than images in a step: each needs one."""
    images = len(task.train) // task.steps_per_epoch  # of the smallest step
    if processes > images:
        do = f"Start at most {images} processes, or raise batch_size."
        raise InputError(
            "training", "an image of each step for every process", f"{processes} processes and {images} images", do=do
        )


@contextmanager
def repeatable() -> Iterator[None]:
    """Use deterministic kernels, and restore the global random state of the caller afterwards."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield


def _why_stop(position: Position, task: Task) -> str:
    config = task.config
    if position.epoch >= task.epochs:
        return f"all {config.steps} steps done" if config.steps else f"all {config.epochs} epochs done"
    if (
        config.patience
        and not config.steps
        and position.best_epoch > 0
        and position.epoch - position.best_epoch >= config.patience
    ):
        return f"no better on tune for {config.patience} epochs after epoch {position.best_epoch}"
    return ""


def _line(position: Position, task: Task) -> str:
    last = position.history[-1]
    reached = (
        f"tune AUC {last['tune_auc']:.3f}" if math.isfinite(last["tune_auc"]) else f"tune loss {last['tune_loss']:.4f}"
    )
    best = " (best so far)" if last["best"] else ""
    return f"epoch {last['epoch']}/{task.epochs}: loss {last['loss']:.4f}, {reached}{best}"
