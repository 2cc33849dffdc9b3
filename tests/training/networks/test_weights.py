"""Weight files of others: renamed, fitted, refused with the keys named."""

from __future__ import annotations

import errno
import re
import urllib.error
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from overread import integrity, limits
from overread.errors import InputError
from overread.training.fitting.checkpoint import check_finite
from overread.training.networks import weights
from overread.training.networks.architectures import Architecture, build
from overread.training.networks.weights import load_weights as load_weights_of
from overread.training.networks.weights import matched


def network(channels: int = 1, outputs: int = 2) -> torch.nn.Module:
    return build(Architecture("densenet-tiny", channels, outputs))


def load_weights(network: torch.nn.Module, source: str, **more: Path) -> tuple[str, ...]:
    """Load into a network whose findings are a, b, c ..."""
    findings = [chr(97 + k) for k in range(len(network.classifier.weight))]
    return load_weights_of(network, source, findings=findings, **more)


def but_classifier(states: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in states.items() if not k.startswith("classifier")}


def state(channels: int = 1, outputs: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(5)
    made = network(channels, outputs)
    return {k: torch.randn(v.shape) if v.is_floating_point() else v for k, v in made.state_dict().items()}


def old_style(names: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of torchvision before 0.3: norm.1.weight for norm1.weight."""
    found = {}
    for key, value in names.items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in key:
                key = key.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
        found[key] = value
    return found


def test_old_names_are_renamed_as_torchvision_does():
    names = {
        "features.denseblock4.denselayer16.norm.1.running_mean": 0,
        "features.denseblock1.denselayer6.conv.2.weight": 1,
    }
    new = ["features.denseblock4.denselayer16.norm1.running_mean", "features.denseblock1.denselayer6.conv2.weight"]
    assert list(matched(names, new).values()) == new
    untouched = [
        "features.transition1.norm.weight",
        "features.norm5.bias",
        "classifier.weight",
        "features.conv0.weight",
    ]
    assert list(matched(untouched, untouched).values()) == untouched


def test_every_name_of_densenet121_comes_back_from_its_old_name():
    names = dict.fromkeys(build(Architecture("densenet121", 3, 1000)).state_dict(), torch.ones(1))
    assert sum("norm.1." in k or "conv.2." in k for k in old_style(names)) == 58 * 6
    assert list(matched(old_style(names), names).values()) == list(names)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_the_same_network_gives_its_outputs(tmp_path: Path, suffix: str):
    given, path = state(), tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(given, path)
    else:
        save_file(given, path)
    made = network()
    start = made.classifier.weight.clone()
    notes = load_weights(made, str(path))
    assert all(torch.equal(v, given[k]) for k, v in but_classifier(made.state_dict()).items())
    assert torch.equal(made.classifier.weight, start)  # nobody says that its two findings are these two
    assert notes == (
        "The classifier of 2 outputs was left out, as its findings are not stated; those of 2 outputs start at random.",
    )


def test_the_rows_of_a_model_folder_are_taken_by_finding(tmp_path: Path):
    given = state(outputs=3)
    save_file(given, tmp_path / "weights.safetensors")
    integrity.write_sealed(tmp_path / "model.json", {"findings": ["b", "mass", "a"]})
    made = network(outputs=4)
    start = made.classifier.weight.clone()
    notes = load_weights(made, str(tmp_path / "weights.safetensors"))
    assert notes == ("The classifier was kept for 2 of 4 outputs (a, b); 2 start at random.",)
    for key in ("classifier.weight", "classifier.bias"):
        assert torch.equal(made.state_dict()[key][:2], given[key][[2, 0]])
    assert torch.equal(made.classifier.weight[2:], start[2:])
    one = network(outputs=1)
    assert load_weights(one, str(tmp_path / "weights.safetensors")) == (
        "The classifier was kept for 1 of 1 outputs (a).",
    )
    assert torch.equal(one.classifier.bias, given["classifier.bias"][2:])


def test_chexnet_style(tmp_path: Path):
    given = state(channels=3, outputs=14)
    chexnet = {
        f"module.densenet121.{k}".replace("classifier.", "classifier.0."): v for k, v in old_style(given).items()
    }
    chexnet = {k: v for k, v in chexnet.items() if "num_batches_tracked" not in k}  # files older than PyTorch 0.4.1
    torch.save({"epoch": 3, "state_dict": chexnet, "best_loss": 0.1}, tmp_path / "model.pth.tar")
    made = network(channels=3, outputs=2)
    start = made.classifier.weight.clone()
    notes = load_weights(made, str(tmp_path / "model.pth.tar"))
    assert notes == (
        "The classifier of 14 outputs was left out, as its findings are not stated; those of 2 outputs start at "
        "random.",
    )
    assert torch.equal(made.classifier.weight, start)
    assert torch.equal(made.features.norm3.weight, given["features.norm3.weight"])
    key = "features.denseblock2.denselayer2.conv1.weight"
    assert torch.equal(made.state_dict()[key], given[key])


def test_torchxrayvision_style(tmp_path: Path):
    given = state(channels=1, outputs=18)
    torch.save({**given, "op_threshs": torch.rand(18)}, tmp_path / "xrv.pt")
    made = network(channels=1, outputs=18)
    assert "its findings are not stated" in load_weights(made, str(tmp_path / "xrv.pt"))[0]
    assert torch.equal(made.features.norm3.weight, given["features.norm3.weight"])


@pytest.mark.slow
def test_three_colours_summed_give_what_a_grey_image_gives(tmp_path: Path):
    torch.save(state(channels=3), tmp_path / "rgb.pth")
    colour, grey = network(channels=3), network(channels=1)
    load_weights(colour, str(tmp_path / "rgb.pth"))
    notes = load_weights(grey, str(tmp_path / "rgb.pth"))
    assert "summed" in notes[0]
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(grey.features.conv0(x), colour.features.conv0(x.expand(-1, 3, -1, -1)))


@pytest.mark.slow
def test_one_channel_spread_over_three(tmp_path: Path):
    torch.save(state(channels=1), tmp_path / "grey.pth")
    colour, grey = network(channels=3), network(channels=1)
    load_weights(grey, str(tmp_path / "grey.pth"))
    assert "spread" in load_weights(colour, str(tmp_path / "grey.pth"))[0]
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(grey.features.conv0(x), colour.features.conv0(x.expand(-1, 3, -1, -1)))


def test_a_mismatch_names_the_keys(tmp_path: Path):
    given = state()
    given["features.extra.weight"] = torch.ones(1)
    del given["features.norm0.weight"]
    given["features.norm3.bias"] = torch.ones(5)
    torch.save(given, tmp_path / "other.pth")
    made = network()
    before = {k: v.clone() for k, v in made.state_dict().items()}
    with pytest.raises(InputError) as raised:
        load_weights(made, str(tmp_path / "other.pth"))
    said = str(raised.value)
    assert f"expected the {len(before)} tensors of the network (1 missing: 'features.norm0.weight')" in said
    assert (
        f"found {len(before)} tensors (1 unknown: 'features.extra.weight'; 1 of another shape or type: "
        "'features.norm3.bias' (5,) instead of (32,))" in said
    )
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())


def test_a_whole_pickled_network_is_refused(tmp_path: Path):
    torch.save(network(), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"would run code when read.*torch\.save\(network\.state_dict\(\), FILE\)"):
        load_weights(network(), str(tmp_path / "model.pt"))


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7 not weights", b"PK\x03\x04 truncated"])
def test_damaged_files(tmp_path: Path, content: bytes):
    (tmp_path / "bad.pth").write_bytes(content)
    (tmp_path / "bad.safetensors").write_bytes(content)
    for name in ("bad.pth", "bad.safetensors"):
        with pytest.raises(InputError, match=name):
            load_weights(network(), str(tmp_path / name))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_weights_that_cannot_be_read_are_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    def load(*args, **options):
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(torch, "load", load)
    monkeypatch.setattr("overread.training.networks.weights.load_file", load)
    with pytest.raises(InputError, match=r"a weight file that can be read; found Input/output error\. Check"):
        load_weights(network(), str(tmp_path / name))


def test_an_archive_that_unpacks_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2_000_000))
    monkeypatch.setattr(limits, "WEIGHT_BYTES", 1_000_000)
    with pytest.raises(InputError, match="at most 1,000,000 bytes of weights; found an archive of 2,000,000 bytes"):
        load_weights(network(), str(path))


def test_a_file_cut_off(tmp_path: Path):
    torch.save(state(), tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:5000])
    with pytest.raises(InputError, match="a damaged one"):
        load_weights(network(), str(tmp_path / "cut.pth"))


def test_no_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(url: str, timeout: float) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse)
    with pytest.raises(InputError, match=r"Fetch https://download\.pytorch\.org/models/densenet121-a639ec97\.pth"):
        load_weights(network(), "imagenet", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_checked_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "source").write_bytes(b"not the weights")
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda url, timeout: (tmp_path / "source").open("rb"))
    with pytest.raises(InputError, match="SHA-256 a639ec97"):
        load_weights(network(), "imagenet", cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def monai(names: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of MONAI's DenseNet: the layers of a dense layer and the classifier one level deeper."""
    return {
        re.sub(r"(denselayer\d+)\.", r"\1.layers.", k).replace("classifier.", "class_layers.out."): v
        for k, v in names.items()
    }


def same(names: dict[str, Tensor]) -> dict[str, Tensor]:
    return names


PARTS = st.sampled_from(
    ["_orig_mod", "module", "model", "net", "backbone", "encoder", "densenet121", "0", "image_model"]
)


@pytest.mark.slow
@settings(deadline=None)
@drawn(
    prefix=st.lists(PARTS, max_size=4),
    style=st.sampled_from([same, old_style, monai]),
    where=st.integers(0, 2),
    inserted=st.sampled_from(["", "_orig_mod", "module"]),
)
def test_any_prefix_in_any_style_is_resolved(prefix: list[str], style, where: int, inserted: str):
    own = list(network().state_dict())

    def wrapped(name: str) -> str:
        parts = name.split(".")
        if inserted and len(parts) > where:
            parts.insert(where, inserted)
        return ".".join([*prefix, *parts])

    names = {wrapped(k): None for k in style(dict.fromkeys(own))}
    assert list(matched(names, own).values()) == own


@pytest.mark.parametrize("wrapper", ["state_dict", "network", "net", None])
def test_a_wrapped_monai_file_gives_the_same_network(tmp_path: Path, wrapper: str | None):
    given = state(outputs=2)
    names = {f"_orig_mod.module.backbone.{k}": v for k, v in monai(given).items()}
    torch.save({wrapper: names, "epoch": 3, "optimizer": {"state": {}}} if wrapper else names, tmp_path / "monai.pt")
    made = network()
    assert load_weights(made, str(tmp_path / "monai.pt"))[0].startswith("The classifier of 2 outputs was left out")
    assert all(torch.equal(v, given[k]) for k, v in but_classifier(made.state_dict()).items())


def test_a_file_without_classifier_is_said_so(tmp_path: Path):
    given = {f"encoder.{k}": v for k, v in state().items() if "classifier" not in k}
    torch.save(given, tmp_path / "trunk.pth")
    assert load_weights(network(), str(tmp_path / "trunk.pth")) == (
        "The file has no classifier; those of 2 outputs start at random.",
    )


def test_two_networks_in_one_file_are_not_mixed(tmp_path: Path):
    student, teacher = state(), {k: v + 1 for k, v in state().items()}
    both = {f"student.{k}": v for k, v in student.items()} | {f"teacher.{k}": v for k, v in teacher.items()}
    torch.save(both, tmp_path / "both.pth")
    with pytest.raises(InputError, match=rf"{len(student)} unknown: '(student|teacher)\.features\.conv0\.weight'"):
        load_weights(network(), str(tmp_path / "both.pth"))
    torch.save({"generator": student, "discriminator": teacher}, tmp_path / "two.pth")
    with pytest.raises(InputError, match=r"expected one set of weights; found 2 of them \(generator, discriminator\)"):
        load_weights(network(), str(tmp_path / "two.pth"))


def test_a_file_of_another_network_shows_both_sides(tmp_path: Path):
    torch.save({"layer1.0.conv1.weight": torch.ones(1), "fc.weight": torch.ones(1)}, tmp_path / "resnet.pth")
    with pytest.raises(InputError) as raised:
        load_weights(network(), str(tmp_path / "resnet.pth"))
    said = str(raised.value)
    assert "missing: 'features.conv0.weight', 'features.norm0.weight', 'features.norm0.bias', …)" in said
    assert "found 2 tensors (2 unknown: 'layer1.0.conv1.weight', 'fc.weight')" in said


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float):
    given = state()
    given["features.norm0.running_var"][3] = value
    torch.save({f"net.{k}": v for k, v in given.items()}, tmp_path / "bad.pth")
    made = network()
    before = {k: v.clone() for k, v in made.state_dict().items()}
    with pytest.raises(
        InputError, match=r"finite weights; found 1 tensors with NaN .* \(features\.norm0\.running_var\)"
    ):
        load_weights(made, str(tmp_path / "bad.pth"))
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())
    with pytest.raises(InputError, match=r"optimiser\.state\.0\.exp_avg"):
        check_finite(tmp_path, {"optimiser": {"state": {0: {"exp_avg": torch.tensor([value])}}}}, do="")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@settings(deadline=None)
@drawn(data=st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda b: b"\x80\x02" + b)))
def test_random_bytes_are_refused_in_plain_words(tmp_path_factory, suffix: str, data: bytes):
    path = tmp_path_factory.mktemp("junk") / f"junk{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"expected (a weight file|a file of tensors|names and tensors)"):
        load_weights(network(), str(path))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.999])
def test_a_truncated_file_is_said_to_be_damaged(tmp_path: Path, suffix: str, part: float):
    path = tmp_path / f"weights{suffix}"
    torch.save(state(), path) if suffix == ".pth" else save_file(state(), path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(InputError, match="expected a weight file; found a damaged one"):
        load_weights(network(), str(path))
