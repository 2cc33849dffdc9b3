"""The loss: binary cross-entropy over the available labels, with capped weights of present labels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def positive_weights(truth: NDArray[np.float32], *, cap: float) -> NDArray[np.float64]:
    """Return the weight of a present label by finding (n_findings,): the ratio of absent to present labels, from 1 to
    `cap`.

    `truth` (n_images, n_findings) is 1 present, 0 absent, NaN no label; every finding has both classes.

    >>> positive_weights(np.array([[1, 1], [0, 0], [0, 1], [0, np.nan], [np.nan, 1]]), cap=2.5)
    array([2.5, 1. ])
    """
    present, absent = (truth == 1).sum(0), (truth == 0).sum(0)
    weights: NDArray[np.float64] = np.clip(absent / present, 1.0, cap).astype(np.float64)
    return weights


def masked_bce(logits: Tensor, truth: Tensor, positive_weight: Tensor, labels: int | None = None) -> Tensor:
    """The mean weighted binary cross-entropy over the labels that are stated; 0 where a batch states none.

    Parameters
    ----------
    logits, truth
        (n, n_findings); truth 1 present, 0 absent, NaN not stated, which has neither loss nor gradient
    positive_weight
        (n_findings,), the factor of present labels
    labels
        by how many labels the sum is divided; None = those of `truth`. A process that has a part of a batch gives those
        of the whole, so that the losses of the parts have the mean over the batch as their sum.

    Computed in float32 where the network computes in less. Checked by hand and against its gradient.

    >>> loss = masked_bce(torch.zeros(1, 2), torch.tensor([[1.0, torch.nan]]), torch.ones(2))
    >>> round(float(loss), 4)
    0.6931
    """
    labelled = ~truth.isnan()
    target = torch.where(labelled, truth, 0.0)  # before the loss: a NaN times zero would still be a NaN in the gradient
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    total = functional.binary_cross_entropy_with_logits(
        logits, target.to(logits), weight=labelled.to(logits), pos_weight=positive_weight.to(logits), reduction="sum"
    )
    return total / (labelled.sum().clamp(min=1) if labels is None else max(labels, 1))
