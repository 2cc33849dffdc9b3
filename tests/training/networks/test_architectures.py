"""The networks: names and shapes of torchvision's DenseNet-121, the family, what enters them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from overread.errors import InputError
from overread.training.networks.architectures import Architecture, build, normalise, to_unit


def parameters(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in network.named_parameters()}


def test_densenet121_has_the_parameters_of_torchvision():
    # torchvision.models.densenet121(): 7,978,856 parameters in 364 tensors, 121 of them with 3 running statistics.
    network = build(Architecture("densenet121", 3, 1000))
    found = parameters(network)
    assert sum(p.numel() for p in network.parameters()) == 7_978_856
    assert len(found) == 364
    assert len(network.state_dict()) == 364 + 3 * 121
    assert next(iter(found)) == "features.conv0.weight"
    assert found["features.conv0.weight"] == (64, 3, 7, 7)
    assert found["features.norm0.bias"] == (64,)
    assert found["features.denseblock1.denselayer1.norm1.weight"] == (64,)
    assert found["features.denseblock1.denselayer1.conv1.weight"] == (128, 64, 1, 1)
    assert found["features.denseblock2.denselayer12.conv1.weight"] == (128, 480, 1, 1)
    assert found["features.denseblock3.denselayer24.conv2.weight"] == (32, 128, 3, 3)
    assert found["features.denseblock4.denselayer16.norm1.weight"] == (992,)
    assert found["features.transition1.conv.weight"] == (128, 256, 1, 1)
    assert found["features.transition3.norm.weight"] == (1024,)
    assert found["features.norm5.weight"] == (1024,)
    assert list(found)[-2:] == ["classifier.weight", "classifier.bias"]
    assert found["classifier.weight"] == (1000, 1024)


@pytest.mark.parametrize(
    ("name", "size", "channels", "side"),
    [("densenet121", 64, 3, 2), ("densenet-small", 64, 1, 4), ("densenet-tiny", 64, 1, 8)],
)
def test_stride_of_each_member(name: str, size: int, channels: int, side: int):
    network = build(Architecture(name, channels, 2)).eval()
    with torch.no_grad():
        assert network.features(torch.zeros(1, channels, size, size)).shape[2:] == (side, side)


def test_the_head_is_relu_then_mean_then_linear():
    network = build(Architecture("densenet-tiny", 1, 3)).eval()
    assert isinstance(network.relu, torch.nn.ReLU)
    assert not network.relu.inplace
    x = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        by_hand = network.classifier(network.features(x).clamp(min=0).mean((2, 3)))
        assert torch.equal(network(x), by_hand)


def test_pixels_enter_as_stated():
    pixels = torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8)
    unit = to_unit(pixels)
    torch.testing.assert_close(unit, torch.tensor([[[[0, 1], [0.2, 0.4]]]]))
    plain = normalise(unit, Architecture("densenet-tiny", 1, 1))
    torch.testing.assert_close(plain[0, 0, 0], torch.tensor([-2.0, 2.0]))
    xrv = normalise(unit, Architecture("densenet121", 1, 1, "torchxrayvision"))
    torch.testing.assert_close(xrv[0, 0, 0], torch.tensor([-1024.0, 1024.0]))
    colours = normalise(unit, Architecture("densenet121", 3, 1, "imagenet"))
    torch.testing.assert_close(
        colours[0, :, 0, 1], torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, 0.594 / 0.225])
    )
    assert normalise(unit, Architecture("densenet121", 3, 1)).shape == (1, 3, 2, 2)


def test_unknown_names_get_a_hint():
    with pytest.raises(InputError, match="Did you mean 'densenet121'"):
        build(Architecture("densenet-121", 1, 1))


def test_architecture_survives_the_model_file():
    made = Architecture("densenet121", 3, 14, "imagenet")
    assert Architecture.from_dict({**made.to_dict(), "later": 1}) == made


def test_timm_by_name(monkeypatch: pytest.MonkeyPatch):
    asked = {}

    def create_model(name: str, **settings: object) -> torch.nn.Module:
        asked.update(settings, name=name)
        return torch.nn.Flatten()

    fake = SimpleNamespace(is_model=lambda n: n == "convnext_atto", list_models=lambda: ["convnext_atto"])
    fake.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", fake)
    assert isinstance(build(Architecture("timm:convnext_atto", 1, 5)), torch.nn.Flatten)
    assert asked == {"name": "convnext_atto", "in_chans": 1, "num_classes": 5}
    with pytest.raises(InputError, match="Did you mean 'convnext_atto'"):
        build(Architecture("timm:convnext_ato", 1, 5))


def test_timm_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"an installed timm for timm:vit_tiny.*pip install 'overread\[timm\]'"):
        build(Architecture("timm:vit_tiny", 1, 5))
