"""A training whose loss is no longer a number is stopped soon, with the images that it met there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from overread.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

EVERY = 20
"""Steps between two looks: a look makes a GPU wait."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of this process: its number, its loss, which images have finite logits, and which images they are."""

    number: int
    loss: Tensor
    finite: Tensor  # (n_images,)
    places: NDArray[np.int64]


class LossWatch:
    """Looks at the losses of the last steps and at the weights.

    Parameters
    ----------
    fabric : Fabric
        The processes of the training; all stop together.
    network : nn.Module
        The network that is trained.
    image_ids : sequence of str
        The training images, in their order.
    epoch : int
        The epoch, from 0.
    """

    def __init__(self, fabric: Fabric, network: nn.Module, image_ids: Sequence[str], epoch: int) -> None:
        self._fabric, self._network, self._image_ids, self._epoch = fabric, network, image_ids, epoch
        self._seen: list[_Step] = []
        self._before: _Step | None = None  # the last step of the steps looked at before

    def add(self, number: int, loss: Tensor, logits: Tensor, places: NDArray[np.int64]) -> None:
        """Add a step, and look if it is time.

        Raises
        ------
        InputError
            See `look`.
        """
        self._seen.append(_Step(number, loss.detach(), logits.detach().isfinite().all(1), places))
        if len(self._seen) == EVERY:
            self.look()

    def whole(self) -> bool:
        """Whether the losses and the weights of this process are numbers."""
        return self._first() is None and _finite(self._network)

    def look(self) -> None:
        """Stop if a loss or a weight of any process is not a number.

        Raises
        ------
        InputError
            A loss or a weight is not a number; the message names the images of the step that it comes from.
        """
        if not self._seen:
            return
        mine = self._first()
        if mine is None and not _finite(self._network):
            mine = self._seen[-1].number + 1  # the next step would be the first
        number = self._earliest(mine)
        if number is not None:
            raise self._error(number)
        self._before, self._seen = self._seen[-1], []

    def _first(self) -> int | None:
        """The number of the first step whose loss is not a number."""
        if not self._seen or bool(torch.stack([s.loss for s in self._seen]).isfinite().all()):
            return None
        return next(s.number for s in self._seen if not bool(s.loss.isfinite()))

    def _earliest(self, mine: int | None) -> int | None:
        """The first number of all processes."""
        if self._fabric.world_size == 1:
            return mine
        none = 2**62
        first = torch.tensor(none if mine is None else mine, device=self._fabric.device)
        torch.distributed.all_reduce(first, torch.distributed.ReduceOp.MIN)
        return None if int(first) == none else int(first)

    def _error(self, number: int) -> InputError:
        """The error of the first step whose loss is not a number, or the first before which weights were none."""
        known = {s.number: s for s in (self._before, *self._seen) if s is not None}
        step, before, place = known.get(number), known.get(number - 1), f"of epoch {self._epoch + 1}"
        if step is not None and bool(step.loss.isfinite()):
            found = f"one that is none at step {number + 1} {place}, in another process"
            return InputError("training", "a loss that is a number", found, do="The message of that process says more.")
        do = "Look at these images. If they are whole, lower learning_rate, or set precision to '32-true'."
        if step is not None and (before is None or bool(step.finite.any())):
            wrong = ~step.finite.cpu().numpy()
            images = self._named(step.places[wrong] if wrong.any() else step.places)
            found = f"{float(step.loss):g} at step {number + 1} {place}, with {len(images)} images"
            return InputError("training", "a loss that is a number", found, examples=images, do=do)
        # No logit of the step is a number: the weights were none already after the step before.
        assert before is not None
        images = self._named(before.places)
        found = f"nan after step {number} {place}, with {len(images)} images"
        return InputError("training", "weights that are numbers", found, examples=images, do=do)

    def _named(self, places: NDArray[np.int64]) -> list[str]:
        return [str(self._image_ids[int(place)]) for place in places]


@torch.no_grad()
def _finite(network: nn.Module) -> bool:
    """Whether weights and statistics of the norms are numbers: then their norms are."""
    values = [v for v in network.state_dict().values() if v.is_floating_point()]
    norms: tuple[Tensor, ...] = torch._foreach_norm(values)
    return bool(torch.stack(norms).isfinite().all())
