"""Public weight files for DenseNet-121 (torchvision's, CheXNet's, torchxrayvision's), loaded by key, strictly."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from overread.errors import InputError
from overread.learn.checkpoint import DAMAGED
from overread.tables import replacing

IMAGENET_URL = "https://download.pytorch.org/models/densenet121-a639ec97.pth"
IMAGENET_HASH = "a639ec97"  # the first digits of the file's SHA-256, as its public name says

_OLD = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)$")  # 'norm.1.weight' for 'norm1.weight'
_PREFIXES = ("module.", "densenet121.", "model.")  # a parallel wrapper; CheXNet's name of its network; other wrappers
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# What torchxrayvision keeps beside the weights: operating points of its own findings.
_IGNORED = ("op_threshs",)


def load_weights(network: nn.Module, source: str, *, cache: Path | None = None) -> tuple[str, ...]:
    """Start a network from a weight file, strictly by key; says what could not be taken over.

    Parameters
    ----------
    network
        a DenseNet-121 with torchvision's parameter names; its classifier and stem may differ from the file's
    source
        "imagenet" (downloaded once and checked by its hash) or the path of a .safetensors, .pth or .pt file: a
        mapping of names to tensors, as such or under "state_dict"; names of torchvision (old and new), CheXNet
        (`module.densenet121.`) and torchxrayvision
    cache
        where a download is kept; torch's own hub folder by default

    Returns
    -------
    notes, each a sentence: a stem folded to one channel or spread over three, a classifier left out or kept

    Raises
    ------
    InputError
        keys missing, unknown or of another shape, each named; no network; a file that is damaged, or that holds more
        than tensors (it would run code when read)

    A one-channel stem is the sum over the colours of the file's (a grey image in all three gives the same); a
    three-channel stem from a one-channel file is a third of it in each.
    """
    path = download_imagenet(cache) if source == "imagenet" else Path(source)
    state, own = renamed(read_state(path)), network.state_dict()
    notes = [*fit_stem(state, own), *fit_classifier(state, own)]
    problems = [f"{k} missing" for k in own if k not in state and not k.endswith("num_batches_tracked")]
    problems += [f"{k} unknown" for k in state if k not in own]
    both = [k for k in own if k in state and own[k].shape != state[k].shape]
    problems += [f"{k} {tuple(state[k].shape)} where {tuple(own[k].shape)} belongs" for k in both]
    if problems:
        raise InputError(
            path, f"weights for a network of {len(own)} tensors", f"{len(problems)} keys that do not fit",
            examples=problems, do="Take the file of the same network, or train without it.",
        )  # fmt: skip
    network.load_state_dict({**own, **state}, strict=True)
    return tuple(notes)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file by name; nothing in the file is ever run."""
    if not path.is_file():
        raise InputError(path, "a weight file", "none there", do="Check the path.")
    try:
        loaded: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (*DAMAGED, SafetensorError) as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise InputError(
                path, "a file of tensors alone", "one that holds other objects, which would run code when read",
                do="Where you trust it: load it in the software that made it, torch.save(network.state_dict(), FILE) "
                "there, and give that file.",
            ) from error  # fmt: skip
        raise InputError(path, "a weight file", f"a damaged one ({_first(error)})", do="Copy it again.") from error
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise InputError(
            path, "names and tensors, as such or under 'state_dict'", f"a {type(loaded).__name__} of others"
        )
    return dict(loaded)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under torchvision's present names.

    >>> list(renamed({"module.densenet121.features.denseblock1.denselayer1.norm.1.weight": torch.ones(1)}))
    ['features.denseblock1.denselayer1.norm1.weight']
    """
    found = {}
    for key, value in state.items():
        name, last = key, ""
        while name != last:
            last = name
            for prefix in _PREFIXES:
                name = name.removeprefix(prefix)
        name = _OLD.sub(r"\1\2", name)
        name = re.sub(r"^classifier\.0\.", "classifier.", name)  # CheXNet: Sequential(Linear, Sigmoid)
        if name not in _IGNORED:
            found[name] = value
    return found


def fit_stem(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Give the first convolution of the file the number of channels of the network; says so."""
    key = "features.conv0.weight"
    if key not in state or key not in own or state[key].ndim != 4:
        return []
    given, wanted = state[key].shape[1], own[key].shape[1]
    if (given, wanted) == (3, 1):
        state[key] = state[key].sum(1, keepdim=True)
        return ["The stem's three colours were summed into one channel."]
    if (given, wanted) == (1, 3):
        state[key] = state[key].expand(-1, 3, -1, -1) / 3
        return ["The stem's one channel was spread over three, a third each."]
    return []


def fit_classifier(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Leave the file's classifier out where its number of outputs differs; says so either way."""
    weight, bias = "classifier.weight", "classifier.bias"
    if weight not in own:
        return []
    given, wanted = (len(s[weight]) if weight in s else 0 for s in (state, own))
    if given == wanted:
        return [f"The classifier of {given} outputs was kept: its findings are taken to be in the same order."]
    for key in (weight, bias):
        state[key] = own[key]
    return [f"The classifier of {given} outputs was left out; that of {wanted} outputs starts at random."]


def download_imagenet(cache: Path | None = None) -> Path:
    """The ImageNet weights of torchvision's DenseNet-121, downloaded once, its SHA-256 checked against its name."""
    folder = cache or Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / IMAGENET_URL.rpartition("/")[2]
    if path.is_file() and _digest(path).startswith(IMAGENET_HASH):
        return path
    offline = f"Fetch {IMAGENET_URL} elsewhere and give its path as weights."
    try:
        with replacing(path) as temporary:
            with urllib.request.urlopen(IMAGENET_URL, timeout=30) as response, temporary.open("wb") as file:
                while block := response.read(1 << 20):
                    file.write(block)
            found = _digest(temporary)
            if not found.startswith(IMAGENET_HASH):
                raise InputError(IMAGENET_URL, f"SHA-256 {IMAGENET_HASH}…", f"{found[:8]}…", do=offline)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise InputError(IMAGENET_URL, "a network connection", str(error), do=offline) from error
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
