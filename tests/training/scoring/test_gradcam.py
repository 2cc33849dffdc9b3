"""Heat maps against captum, and the properties that they promise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from overread.errors import InputError
from overread.training.networks.architectures import Architecture, build
from overread.training.scoring import gradcam

captum = pytest.importorskip("captum.attr")


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(1))


def trained_like(name: str = "densenet-tiny", outputs: int = 4) -> nn.Module:
    """A network whose batch norms and head are not at their start, as after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = build(Architecture(name, channels=1, outputs=outputs))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 2.0)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.3)
                nn.init.normal_(module.bias)
    return network.eval()


class OddHead(nn.Module):
    """A head that is not average pooling and one linear layer: an attention over positions, then two layers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU())
        self.attention = nn.Linear(8, 1)
        self.hidden, self.out = nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).flatten(2).transpose(1, 2)
        pooled = (torch.softmax(self.attention(x), 1) * x).sum(1)
        return self.out(torch.relu_(self.hidden(pooled)))


def grad_cam(network: nn.Module, module: nn.Module, images: Tensor, finding: int) -> Tensor:
    found = captum.LayerGradCam(network, module).attribute(images, target=finding, relu_attributions=True)
    return found[:, 0].detach()


def to_maximum(maps: Tensor) -> Tensor:
    return maps / maps.amax((-2, -1), keepdim=True).clamp(min=1e-30)


@pytest.mark.parametrize("name", ["densenet-tiny", "densenet-small"])
def test_closed_form_is_captums_grad_cam_at_the_final_relu(images: Tensor, name: str):
    network = trained_like(name, outputs=10)
    target = gradcam.find_target(network, images)
    assert target.name == "relu"
    assert target.head is network.classifier
    _, maps = gradcam.predict_with_maps(network, target, images, columns=range(10))
    assert (maps.amax((2, 3)) > 0).float().mean() > 0.4  # where nothing speaks for a finding its map is zero
    for finding in range(10):
        theirs = grad_cam(network, network.relu, images, finding)
        assert (to_maximum(maps[:, finding]) - to_maximum(theirs)).abs().max() < 1e-5
        places = maps.shape[2] * maps.shape[3]
        torch.testing.assert_close(maps[:, finding], theirs * places, rtol=1e-4, atol=1e-5)


def test_a_hook_on_features_before_the_relu_gives_something_else(images: Tensor):
    network = trained_like()
    _, maps = gradcam.predict_with_maps(network, gradcam.find_target(network, images), images, columns=range(4))
    usual_mistake = torch.stack([grad_cam(network, network.features, images, f) for f in range(4)], 1)
    assert (to_maximum(maps) - to_maximum(usual_mistake)).abs().max() > 0.05


def test_the_mean_of_the_unrectified_map_and_the_bias_is_the_logit(images: Tensor):
    network = trained_like()
    with torch.no_grad():
        activations = network.relu(network.features(images))
        weight, bias = network.classifier.weight, network.classifier.bias
        unrectified = gradcam.closed_form(activations, weight) - gradcam.closed_form(activations, -weight)
        torch.testing.assert_close(unrectified.mean((2, 3)) + bias, network(images), rtol=1e-4, atol=1e-4)


def test_gradients_and_closed_form_agree_on_a_pooled_linear_head(images: Tensor):
    network = trained_like()
    target = gradcam.find_target(network, images)
    logits, closed = gradcam.predict_with_maps(network, target, images, columns=[2, 0])
    general = gradcam.Target(target.name, target.module, None)
    same, by_gradients = gradcam.predict_with_maps(network.requires_grad_(False), general, images, columns=[2, 0])
    assert torch.equal(logits, same)
    torch.testing.assert_close(by_gradients, closed, rtol=1e-4, atol=1e-4 * float(closed.max()))


def test_another_head_goes_by_gradients_and_equals_captum(images: Tensor):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = OddHead().eval()
    target = gradcam.find_target(network, images)
    assert target.head is None
    assert target.module is network.body  # its output is that of its last member, the ReLU
    logits, maps = gradcam.predict_with_maps(network, target, images, columns=range(3))
    with torch.no_grad():
        assert torch.equal(logits, network(images))
    places = maps.shape[2] * maps.shape[3]
    for finding in range(3):
        theirs = grad_cam(network, network.body[2], images, finding)
        torch.testing.assert_close(maps[:, finding], theirs * places, rtol=1e-4, atol=1e-6)


def test_no_hook_stays_behind(images: Tensor):
    network = trained_like()
    target = gradcam.find_target(network, images)
    gradcam.predict_with_maps(network, target, images, columns=range(4))
    assert not any(module._forward_hooks for module in network.modules())


def test_a_network_without_a_feature_map_is_refused(images: Tensor):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64 * 64, 2)).eval()
    with pytest.raises(InputError, match=r"ends in a feature map.*no feature map with height and width"):
        gradcam.find_target(flat, images)


def test_a_feature_map_far_from_the_end_is_refused(images: Tensor):
    deep = nn.Sequential(nn.Conv2d(1, 4, 8, 8), nn.Flatten(2), *[nn.Linear(64, 64) for _ in range(4)]).eval()
    with pytest.raises(InputError, match="4 linear layers after it"):
        gradcam.find_target(deep, images)


def test_normalise_scales_each_map_and_leaves_zero_maps_zero():
    raw = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0)) * 40
    raw[1, 2] = 0
    scaled, maximum = gradcam.normalise(raw)
    assert scaled.dtype == torch.float16
    assert maximum.shape == (5, 3)
    peaks = scaled.amax((2, 3))
    assert peaks[1, 2] == 0
    assert scaled[1, 2].abs().sum() == 0
    assert peaks.flatten().sort().values[1:].tolist() == [1.0] * 14
    back = scaled.float() * maximum[:, :, None, None]
    assert ((back - raw).abs() <= raw * 2**-10 + 1e-5).all()


def test_tiny_values_are_scaled_before_they_are_rounded_to_float16():
    scaled, maximum = gradcam.normalise(torch.tensor([[[[1e-9, 5e-10]]]]))
    assert scaled.tolist() == [[[[1.0, 0.5]]]]
    assert maximum.item() == pytest.approx(1e-9)
