"""Grad-CAM heat maps of every finding and image, computed in the same pass as the prediction.

Grad-CAM is computed at the last feature map (the output of the final ReLU), in units of the logit. The gradient is
summed, not averaged, over positions: for a network that ends in global average pooling and one linear layer, the mean
of the unrectified map plus the bias is then the logit. Negative values are set to 0 (ReLU).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from overread.errors import InputError

MAXIMUM_HEAD_LAYERS = 3
"""Linear layers that may follow the feature map; more, and it is not the network's last picture of the image."""


@dataclass(frozen=True, slots=True)
class Target:
    """The layer at which maps are computed, its name, and the linear head if the closed form holds."""

    name: str
    module: nn.Module
    head: nn.Linear | None


def find_target(network: nn.Module, images: Tensor) -> Target:
    """Find the module with the last feature map of a network, and its linear head if the closed form holds.

    ``images`` (n, channels, size, size) is a small batch in the form of the network's input; the network must be in
    eval mode. The closed form is tested: head(mean of the feature map over positions) must equal the output.

    Raises
    ------
    InputError
        The network does not end in a feature map (a transformer), or its map has a single position.
    """
    seen: list[tuple[str, nn.Module, Any]] = []

    def watch(name: str) -> Callable[..., None]:
        return lambda module, _, output: seen.append((name, module, output))

    with ExitStack() as stack, torch.no_grad():
        for name, module in network.named_modules():
            if name:
                stack.callback(module.register_forward_hook(watch(name)).remove)
        logits = network(images)
    places = [i for i, (_, _, output) in enumerate(seen) if _is_map(output)]
    if not places:
        raise _no_map("no feature map with height and width")
    name, module, activations = seen[places[-1]]
    after = [m for _, m, _ in seen[places[-1] + 1 :] if isinstance(m, nn.Linear)]
    if len(after) > MAXIMUM_HEAD_LAYERS:
        raise _no_map(f"'{name}' as its last feature map, and {len(after)} linear layers after it")
    channels = getattr(network, "num_features", activations.shape[1])
    if isinstance(channels, int) and channels != activations.shape[1]:
        raise _no_map(f"a feature map of shape {tuple(activations.shape)} where {channels} channels come first")
    head = after[-1] if after and _closed_form_holds(after[-1], activations, logits) else None
    return Target(name, module, head)


def _is_map(output: Any) -> bool:
    return isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1


def _closed_form_holds(head: nn.Linear, activations: Tensor, logits: Tensor) -> bool:
    if head.in_features != activations.shape[1]:
        return False
    pooled = head(activations.mean((2, 3)))
    if pooled.shape != logits.shape:
        return False
    return bool((pooled - logits).abs().max() <= 1e-4 * logits.abs().max().clamp(min=1e-3))


def _no_map(found: str) -> InputError:
    return InputError(
        "heat maps",
        "a convolutional network that ends in a feature map and a small head, and an image large enough for it",
        found,
        do="Predict without heat maps.",
    )


def predict_with_maps(
    network: nn.Module, target: Target, images: Tensor, *, columns: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Logits (n, findings) and raw maps (n, findings, h, w), not negative, in units of the logit, from one pass.

    ``columns`` are the outputs of the network that are wanted, in order: the findings.
    Grad-CAM: Selvaraju et al., IJCV 2020, doi:10.1007/s11263-019-01228-7; with global average pooling and one linear
    layer it is the class activation map of Zhou et al., CVPR 2016, doi:10.1109/CVPR.2016.319, rectified. Checked
    against captum's LayerGradCam (equal up to the factor h * w). The network must be in eval mode.
    """
    activations: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        if target.head is not None:
            activations.append(output)
            return None
        # The graph begins here, so that only the head is walked backwards.
        activations.append(output.detach().requires_grad_())
        return activations[0].clone()  # so that what follows may work in place

    handle = target.module.register_forward_hook(keep)
    try:
        if target.head is not None:
            with torch.no_grad():
                logits = network(images)[:, columns]
                with torch.autocast(images.device.type, enabled=False):  # the maps in float32 in any arithmetic
                    return logits, closed_form(activations[0].float(), target.head.weight[columns].float())
        with torch.enable_grad():
            logits = network(images)[:, columns]
            maps = from_gradients(activations[0], logits)
        return logits.detach(), maps
    finally:
        handle.remove()


def closed_form(activations: Tensor, weight: Tensor) -> Tensor:
    """Rectified class activation maps (n, findings, h, w): one matrix product.

    ``activations`` (n, channels, h, w) at the output of the final ReLU; ``weight`` (findings, channels).

    >>> closed_form(torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]]), torch.tensor([[1.0, -0.5]])).tolist()
    [[[[0.0, 2.0]]]]
    """
    maps = torch.matmul(weight, activations.flatten(2))  # (n, findings, h * w)
    by_place: Tensor = maps.relu_().unflatten(2, activations.shape[2:])
    return by_place


def from_gradients(activations: Tensor, logits: Tensor) -> Tensor:
    """Compute Grad-CAM (n, findings, h, w) by one backward pass per finding, for any head.

    ``logits`` (n, findings) must be computed from ``activations`` (n, channels, h, w) with the graph retained.
    """
    maps = []
    for finding in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, finding].sum(), activations, retain_graph=True)
        maps.append((gradient.sum((2, 3), keepdim=True) * activations.detach()).sum(1).relu())
    return torch.stack(maps, 1)


def normalise(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Divide every map by its maximum; return maps as float16 in [0, 1] and maxima (n, findings) as float32.

    A map of zeros stays zero, with a maximum of 0.

    >>> scaled, maximum = normalise(torch.tensor([[[[2.0, 4.0]], [[0.0, 0.0]]]]))
    >>> scaled.tolist(), maximum.tolist()
    ([[[[0.5, 1.0]], [[0.0, 0.0]]]], [[4.0, 0.0]])
    """
    wide = maps.float()
    maximum = wide.amax((2, 3))
    divisor = torch.where(maximum > 0, maximum, torch.ones_like(maximum))
    return (wide / divisor[:, :, None, None]).half(), maximum
