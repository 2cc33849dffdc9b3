"""Network architectures: a DenseNet with the parameter names of torchvision, and networks of timm by name.

The order is features -> relu -> mean over the map -> classifier. The final ReLU is a module, so that a heat map can be
taken at its output; a hook on `features` would see the map before the ReLU.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from overread.errors import InputError, did_you_mean

# name -> (layers of each dense block, channels that each layer adds, channels after the stem)
MEMBERS = {
    "densenet121": ((6, 12, 24, 16), 32, 64),  # stride 32
    "densenet-small": ((4, 8, 8), 16, 32),  # stride 16
    "densenet-tiny": ((2, 2), 8, 16),  # stride 8
}
# name -> (mean, standard deviation) of the pixel values 0..1 that become 0 and 1 at the network's input
NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.5,), (0.25,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "torchxrayvision": ((0.5,), (1 / 2048,)),  # its networks were trained on values from -1024 to 1024
}


@dataclass(frozen=True)
class Architecture:
    """The parameters that are needed to build a network and its input; part of model.json.

    >>> Architecture("densenet-small", channels=1, outputs=3).to_dict()
    {'network': 'densenet-small', 'channels': 1, 'outputs': 3, 'normalisation': 'unit'}
    """

    network: str
    channels: int
    outputs: int
    normalisation: str = "unit"

    def to_dict(self) -> dict[str, Any]:
        """Return the architecture as plain values for model.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Architecture:
        """Return the architecture in a model.json; other keys are ignored."""
        return cls(**{key: record[key] for key in ("network", "channels", "outputs", "normalisation") if key in record})


class DenseNet(nn.Module):
    """DenseNet-BC for one- or three-channel images, parameters named as in torchvision.

    `features` (stem, dense blocks, transitions, last norm) -> `relu` -> mean over the map -> `classifier`.
    Huang et al. 2017, doi:10.1109/CVPR.2017.243.

    >>> network = DenseNet((2, 2), growth=8, stem=16, channels=1, outputs=3)
    >>> network(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 3])
    """

    def __init__(self, blocks: tuple[int, ...], *, growth: int, stem: int, channels: int, outputs: int):
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv0"] = nn.Conv2d(channels, stem, 7, stride=2, padding=3, bias=False)
        layers["norm0"] = nn.BatchNorm2d(stem)
        layers["relu0"] = nn.ReLU(inplace=True)
        layers["pool0"] = nn.MaxPool2d(3, stride=2, padding=1)
        width = stem
        for number, depth in enumerate(blocks, 1):
            layers[f"denseblock{number}"] = DenseBlock(depth, width, growth)
            width += depth * growth
            if number < len(blocks):
                layers[f"transition{number}"] = transition(width, width // 2)
                width //= 2
        layers[f"norm{len(blocks) + 1}"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(layers)
        self.relu = nn.ReLU(inplace=False)  # not in place: a heat map needs the map on either side of it
        self.classifier = nn.Linear(width, outputs)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, outputs) of images (n, channels, height, width)."""
        x = self.relu(self.features(x))
        # mean, not adaptive pooling: its gradient is exact to repeat on a GPU
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class DenseBlock(nn.Module):
    """Densely connected layers: each receives the outputs of all previous layers."""

    def __init__(self, depth: int, width: int, growth: int):
        super().__init__()
        for number in range(depth):
            self.add_module(f"denselayer{number + 1}", dense_layer(width + number * growth, growth))

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the input and the outputs of all layers."""
        for layer in self.children():
            x = torch.cat([x, layer(x)], 1)
        return x


def dense_layer(width: int, growth: int) -> nn.Sequential:
    """Norm, ReLU, 1x1 convolution to four times the growth, norm, ReLU, 3x3 convolution to the growth."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            norm1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv1=nn.Conv2d(width, 4 * growth, 1, bias=False),
            norm2=nn.BatchNorm2d(4 * growth),
            relu2=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )
    )


def transition(width: int, outputs: int) -> nn.Sequential:
    """Halve the number of channels, the height and the width."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(width, outputs, 1, bias=False),
            pool=nn.AvgPool2d(2, stride=2),
        )
    )


def initialise(network: nn.Module) -> None:
    """Initialise convolutions by He's method and the output bias with zero, as torchvision does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def build(architecture: Architecture) -> nn.Module:
    """Build the network of an architecture, with random weights from the global generator of torch.

    Raises
    ------
    InputError
        An unknown name, or `timm:NAME` if timm is not installed or does not know NAME.

    Examples
    --------
    >>> sum(p.numel() for p in build(Architecture("densenet121", channels=3, outputs=1000)).parameters())
    7978856
    """
    name = architecture.network
    if name.startswith("timm:"):
        return build_timm(architecture)
    if name not in MEMBERS:
        raise InputError(
            "network", f"one of {', '.join(MEMBERS)} or timm:NAME", repr(name), do=did_you_mean(name, MEMBERS)
        )
    blocks, growth, stem = MEMBERS[name]
    return DenseNet(blocks, growth=growth, stem=stem, channels=architecture.channels, outputs=architecture.outputs)


def build_timm(architecture: Architecture) -> nn.Module:
    """Build a network of timm by name, without weights."""
    name = architecture.network.removeprefix("timm:")
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision that does not fit this torch
        raise InputError(
            "network",
            f"an installed timm for {architecture.network}",
            f"an import that failed: {error}",
            do="pip install 'overread[timm]', with a torchvision for this version of torch, or choose densenet121.",
        ) from error
    if not timm.is_model(name):
        raise InputError("network", "a network that timm knows", repr(name), do=did_you_mean(name, timm.list_models()))
    network: nn.Module = timm.create_model(name, in_chans=architecture.channels, num_classes=architecture.outputs)
    return network


def to_unit(pixels: Tensor) -> Tensor:
    """Convert stored pixels uint8 (n, h, w) to float32 (n, 1, h, w) from 0 (air) to 1."""
    return pixels.unsqueeze(1).to(torch.float32).mul_(1 / 255)


def normalise(unit: Tensor, architecture: Architecture) -> Tensor:
    """Convert images (n, 1, h, w) of 0 to 1 to the input of the network (n, channels, h, w).

    With ImageNet normalisation a one-channel network uses the mean of the three means and deviations.
    """
    mean, deviation = NORMALISATIONS[architecture.normalisation]
    if architecture.channels == 1 or len(mean) == 1:
        m, d = sum(mean) / len(mean), sum(deviation) / len(deviation)
        x = (unit - m).div_(d)
        return x.expand(-1, architecture.channels, -1, -1) if architecture.channels > 1 else x
    shape = (1, -1, 1, 1)
    return (unit - unit.new_tensor(mean).view(shape)) / unit.new_tensor(deviation).view(shape)
