"""Weight files of other projects for DenseNet-121 (torchvision, CheXNet, torchxrayvision, MONAI), loaded by strict
names.
"""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from overread import limits, regular, runs
from overread.errors import InputError
from overread.integrity import file_hash
from overread.tables import replacing
from overread.tables.records.kinds import ModelRecord
from overread.training.fitting.checkpoint import check_finite, unreadable
from overread.training.training_config import IMAGENET_HASH

IMAGENET_URL = f"https://download.pytorch.org/models/densenet121-{IMAGENET_HASH}.pth"

_OLD = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)$")  # 'norm.1.weight' for 'norm1.weight'
_MONAI = re.compile(r"^(.*denselayer\d+)\.layers\.(.+)$")
_HEAD = re.compile(r"^(.*?)(?:class_layers\.out|classifier\.\d+)\.(weight|bias)$")  # MONAI; Sequential(..., Linear)
# What torch.compile and its parallel wrappers insert, anywhere in a name.
_INSERTED = ("_orig_mod", "module")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# What torchxrayvision keeps beside the weights: operating points of its own findings.
_IGNORED = ("op_threshs",)


def load_weights(
    network: nn.Module, source: str, *, findings: Sequence[str], cache: Path | None = None
) -> tuple[str, ...]:
    """Initialise a network from a weight file, strictly by name.

    Parameters
    ----------
    network
        a DenseNet-121 with torchvision's parameter names; its classifier and stem may differ from the file's
    source
        "imagenet" (downloaded once and checked by its hash) or the path of a .safetensors, .pth or .pt file: a
        mapping of names to tensors, as such or under a key such as "state_dict"; names of torchvision (old and new),
        CheXNet, torchxrayvision and MONAI, with any prefix that all of them share (`model.`, `backbone.`, ...)
    findings
        the outputs of the network, in their order; rows of the file's classifier are taken for those that it has by
        name, which only the weights of a model folder say
    cache
        where a download is kept; torch's own hub folder by default

    Returns
    -------
    notes, each a sentence: a stem folded to one channel or spread over three, rows of a classifier kept or left out

    Raises
    ------
    InputError
        tensors missing, unknown or of another shape, with names of both sides; NaN or infinite weights; no network
        connection; a file that is damaged, or that holds more than tensors (it would run code when read)

    Notes
    -----
    A one-channel stem is the sum over the colours of the file's (a grey image in all three gives the same); a
    three-channel stem from a one-channel file is a third of it in each.
    """
    path = download_imagenet(cache) if source == "imagenet" else Path(source)
    own = network.state_dict()
    tensors = read_state(path)
    names = matched(tensors, own)
    state = {new: tensors[old] for old, new in names.items()}
    check_finite(path, state, do="Take another copy of the file; the training that made it may have diverged.")
    notes = [*fit_stem(state, own), *fit_classifier(state, own, theirs=_findings_of(path), ours=findings)]
    _check_fit(path, state, own, {new: old for old, new in names.items()})
    network.load_state_dict({**own, **state}, strict=True)
    return tuple(notes)


def _check_fit(path: Path, state: Mapping[str, Tensor], own: Mapping[str, Tensor], original: Mapping[str, str]) -> None:
    """Refuse tensors that are missing, unknown or of another shape; the message lists names of both sides."""
    missing = [f"'{k}'" for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unknown = [f"'{original.get(k, k)}'" for k in state if k not in own]
    other = [
        f"'{original.get(k, k)}' {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in state and own[k].shape != state[k].shape
    ]
    other += [
        f"'{original.get(k, k)}' of {state[k].dtype}"
        for k in own
        if k in state and (own[k].is_floating_point() != state[k].is_floating_point() or state[k].is_complex())
    ]
    if not (missing or unknown or other):
        return
    wants = _some(missing, "missing") or _some([f"'{k}'" for k in own], "such as")
    has = "; ".join(s for s in (_some(unknown, "unknown"), _some(other, "of another shape or type")) if s)
    has = has or _some([f"'{k}'" for k in original.values()], "such as")
    raise InputError(
        path,
        f"the {len(own)} tensors of the network ({wants})",
        f"{len(original)} tensors ({has})",
        do="Give the file of the same network, rename its tensors, or train without it.",
    )


def _some(names: Sequence[str], what: str) -> str:
    """Describe a number of names with up to three examples; "" for none."""
    shown = f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
    return (f"such as {shown}" if what == "such as" else f"{len(names)} {what}: {shown}") if names else ""


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weight file by name; no code in the file is executed."""
    if not os.path.isfile(path):
        raise InputError(path, "a weight file", "none there", do="Check the path.")
    with regular.opened(path, most=limits.WEIGHT_BYTES):
        _check_unpacked(path)
    try:
        loaded: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # the unpickler runs into any of Python's errors in a file of random bytes
        if why := unreadable(error):
            do = "Check its permissions and the disk."
            raise InputError(path, "a weight file that can be read", why, do=do) from error
        if _is_torch(path) and ("weights_only" in str(error) or "Unsupported" in str(error)):
            raise InputError(
                path,
                "a file of tensors alone",
                "one that holds other objects, which would run code when read",
                do="If you trust it, load it in the software that wrote it, run torch.save(network.state_dict(), FILE) "
                "there, and give that file.",
            ) from error
        raise InputError(path, "a weight file", "a damaged one", do="Copy it again.") from error
    if isinstance(loaded, Mapping) and not _of_tensors(loaded):
        nested = {str(k): v for k, v in loaded.items() if _of_tensors(v)}
        chosen = [k for k in _WRAPPERS if k in nested] or list(nested)
        if len(chosen) > 1 and chosen[0] not in _WRAPPERS:
            do = "Save one of them in a file of its own."
            raise InputError(path, "one set of weights", f"{len(nested)} of them", examples=nested, do=do)
        loaded = nested[chosen[0]] if chosen else loaded
    if not _of_tensors(loaded):
        raise InputError(
            path, "names and tensors, as such or under 'state_dict'", f"a {type(loaded).__name__} of others"
        )
    return dict(loaded)


def _check_unpacked(path: Path) -> None:
    """Refuse a ZIP archive (as of torch.save) whose members are compressed to a small fraction of their size."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # none, or a damaged one: reading it says so
    if size > limits.WEIGHT_BYTES:
        expected = f"at most {limits.WEIGHT_BYTES:,} bytes of weights"
        raise InputError(path, expected, f"an archive of {size:,} bytes when unpacked")


def _is_torch(path: Path) -> bool:
    """Return whether a file starts like one of torch.save: a ZIP archive or a pickle."""
    with path.open("rb") as file:
        head = file.read(2)
    return head == b"PK" or head[:1] == b"\x80"


def _of_tensors(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


def matched(names: Iterable[str], own: Iterable[str]) -> dict[str, str]:
    """Match the names of a file with those of the network.

    Names in the style of other libraries are translated; then the prefix is removed under which most names of the
    network are found. Two names that would become equal are left unchanged, so that they are reported as unknown.

    >>> matched(["_orig_mod.backbone.features.norm.weight", "fc.bias"], ["features.norm.weight"])
    {'_orig_mod.backbone.features.norm.weight': 'features.norm.weight', 'fc.bias': 'fc.bias'}
    """
    known = set(own)
    plain = {old: translated(old) for old in names if old not in _IGNORED}
    prefixes = Counter(
        ".".join(parts[:cut]) + "."
        for parts in (new.split(".") for new in plain.values())
        for cut in range(1, len(parts))
        if ".".join(parts[cut:]) in known
    )
    prefix = max(prefixes, key=lambda p: (prefixes[p], -len(p)), default="")
    if prefixes[prefix] <= sum(new in known for new in plain.values()):
        prefix = ""
    found = {old: new.removeprefix(prefix) if new not in known else new for old, new in plain.items()}
    found = {old: new for old, new in found.items() if new not in _IGNORED}
    times = Counter(found.values())
    return {old: new if times[new] == 1 else old for old, new in found.items()}


def translated(name: str) -> str:
    """A name as torchvision has it today, apart from prefixes.

    >>> translated("module.densenet121.features.denseblock1.denselayer1.norm.1.weight")
    'densenet121.features.denseblock1.denselayer1.norm1.weight'
    >>> translated("features.denseblock1.denselayer1.layers.norm1.weight"), translated("class_layers.out.bias")
    ('features.denseblock1.denselayer1.norm1.weight', 'classifier.bias')
    """
    name = ".".join(part for part in name.split(".") if part not in _INSERTED)
    return _HEAD.sub(r"\1classifier.\2", _OLD.sub(r"\1\2", _MONAI.sub(r"\1.\2", name)))


def fit_stem(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Adapt the first convolution of the file to the number of channels of the network; return notes."""
    key = "features.conv0.weight"
    if key not in state or key not in own or state[key].ndim != 4:
        return []
    channels, own_channels = state[key].shape[1], own[key].shape[1]
    if (channels, own_channels) == (3, 1):
        state[key] = state[key].sum(1, keepdim=True)
        return ["The stem's three colours were summed into one channel."]
    if (channels, own_channels) == (1, 3):
        state[key] = state[key].expand(-1, 3, -1, -1) / 3
        return ["The stem's one channel was spread over three, a third each."]
    return []


def fit_classifier(
    state: dict[str, Tensor], own: Mapping[str, Tensor], *, theirs: Sequence[str], ours: Sequence[str]
) -> list[str]:
    """Take the rows of the file's classifier whose findings the network has too; the others start at random.

    An order of findings that a file does not state is not guessed from the number of its outputs.
    """
    weight, bias = "classifier.weight", "classifier.bias"
    if weight not in own:
        return []
    outputs, n = len(state[weight]) if weight in state else 0, len(ours)
    rest = f"{'that' if n == 1 else 'those'} of {n} output{'' if n == 1 else 's'}"
    shared = [f for f in ours if f in theirs] if len(theirs) == outputs else []
    rows = {key: state.get(key) for key in (weight, bias)}
    for key, from_file in rows.items():
        state[key] = own[key].clone()
        if from_file is not None and from_file.shape[1:] == own[key].shape[1:]:
            for finding in shared:
                state[key][ours.index(finding)] = from_file[theirs.index(finding)]
    start = "starts" if n == 1 else "start"
    if not outputs:
        return [f"The file has no classifier; {rest} {start} at random."]
    if not theirs:
        left = f"The classifier of {outputs} outputs was left out, as its findings are not stated"
        return [f"{left}; {rest} {start} at random."]
    kept = ", ".join(shared)
    others = n - len(shared)
    left = f"; {others} start{'s' if others == 1 else ''} at random" if others else ""
    return [f"The classifier was kept for {len(shared)} of {n} outputs{f' ({kept})' if shared else ''}{left}."]


def _findings_of(path: Path) -> tuple[str, ...]:
    """The findings of the weights of a model folder, () for another file."""
    record = path.with_name("model.json")
    if path.name != "weights.safetensors" or not record.is_file():
        return ()
    return tuple(runs.read_sealed(record, ModelRecord).get("findings") or ())


def download_imagenet(cache: Path | None = None) -> Path:
    """The ImageNet weights of torchvision's DenseNet-121, downloaded once, its SHA-256 checked against its name."""
    folder = cache or Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / IMAGENET_URL.rpartition("/")[2]
    if path.is_file() and file_hash(path).startswith(IMAGENET_HASH):
        return path
    offline = f"Fetch {IMAGENET_URL} elsewhere and give its path as weights."
    try:
        with replacing(path) as temporary:
            with urllib.request.urlopen(IMAGENET_URL, timeout=30) as response, temporary.open("wb") as file:
                while block := response.read(1 << 20):
                    file.write(block)
            found = file_hash(temporary)
            if not found.startswith(IMAGENET_HASH):
                raise InputError(IMAGENET_URL, f"SHA-256 {IMAGENET_HASH}…", f"{found[:8]}…", do=offline)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise InputError(IMAGENET_URL, "a network connection", str(error), do=offline) from error
    return path
