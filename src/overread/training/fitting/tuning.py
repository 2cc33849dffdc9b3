"""Evaluation of a network on tune: its logits, and the AUC by which the best epoch is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from overread.images.store.pixel_store import Store
from overread.stats import roc
from overread.training.fitting.examples import Examples, batches
from overread.training.fitting.loss import masked_bce
from overread.training.networks.architectures import Architecture, normalise, to_unit

Aucs = dict[str, dict[str, float]]


def logits_of(
    call: Callable[[Tensor], Tensor],
    store: Store,
    examples: Examples,
    architecture: Architecture,
    *,
    device: torch.device,
    batch_size: int,
    share: tuple[int, int] = (0, 1),
) -> Tensor:
    """Compute logits (n, findings) float32 of all examples; with `share` (r, k) of every k-th from the r-th, else 0.

    `call` maps the input of the network to its logits, in the arithmetic in which it is called.
    """
    found = torch.zeros(examples.truth.shape, dtype=torch.float32, device=device)
    mine = np.arange(share[0], len(examples), share[1])
    order = [mine[i : i + batch_size] for i in range(0, len(mine), batch_size)]
    with torch.no_grad():
        for places, (pixels, _) in zip(order, batches(store, examples, order), strict=True):
            inputs = normalise(to_unit(pixels.to(device)), architecture)
            found[torch.from_numpy(places).to(device)] = call(inputs).float()
    return found


def within_site_aucs(examples: Examples, logits: NDArray[np.float32], findings: Sequence[str]) -> Aucs:
    """Compute {site: {finding: AUC}}; NaN if a site has one class only.

    An AUC over all sites would reward recognition of the site, since prevalences differ. If `pairs_within` is given,
    pairs are compared within it only. `logits` is (n, findings).
    """
    sites = examples.images["site"].to_numpy()
    strata = np.array([str(s or "") for s in examples.images["pairs_within"].to_list()], dtype=object)
    found: Aucs = {}
    for site in np.unique(sites):
        found[str(site)] = {}
        for column, finding in enumerate(findings):
            here = (sites == site) & ~np.isnan(examples.truth[:, column])
            y = examples.truth[here, column] == 1
            value = float("nan")
            if y.any() and not y.all():
                value = roc.stratified_auc(y, logits[here, column].astype(np.float64), strata[here].astype(str)).value
            found[str(site)][finding] = float(value)
    return found


def mean_auc(aucs: Aucs) -> float:
    """Return the unweighted mean over sites and findings with a defined AUC; NaN if there is none.

    >>> mean_auc({"a": {"edema": 0.5, "mass": float("nan")}, "b": {"edema": 0.75, "mass": 1.0}})
    0.75
    """
    values = [v for by_finding in aucs.values() for v in by_finding.values() if isfinite(v)]
    return float(np.mean(values)) if values else float("nan")


def tune_loss(logits: Tensor, truth: NDArray[np.float32]) -> float:
    """Return the unweighted masked cross-entropy on tune."""
    ones = torch.ones(truth.shape[1], device=logits.device)
    return float(masked_bce(logits, torch.from_numpy(truth).to(logits.device), ones))


def frozen_logits(
    network: nn.Module,
    store: Store,
    examples: Examples,
    architecture: Architecture,
    *,
    device: torch.device,
    batch_size: int,
) -> NDArray[np.float64]:
    """Compute the logits (n, findings) of the final network as in prediction: eval mode, float32, no TF32."""
    network = network.to(device=device, memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        found = logits_of(network, store, examples, architecture, device=device, batch_size=batch_size)
    return found.cpu().numpy().astype(np.float64)
