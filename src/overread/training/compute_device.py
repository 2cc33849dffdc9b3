"""Device and arithmetic of training: one CPU or GPU, or the processes that torchrun started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from overread.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fast_bf16() -> str:
    """Return the hardware that multiplies faster in bfloat16: "cuda", "AMX", "AVX512-BF16", or "" for none."""
    if torch.cuda.is_available():
        return "cuda" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    if not torch.backends.mkldnn.is_available():
        return ""
    for asked, name in (("_is_amx_tile_supported", "AMX"), ("_is_avx512_bf16_supported", "AVX512-BF16")):
        test = getattr(torch.cpu, asked, None)  # named with an underscore, so it may go or not be there yet
        if test is not None and test():
            return name
    return ""


def resolved_precision(precision: str) -> str:
    """Resolve "auto": bf16-mixed if bfloat16 is fast on this machine, else 32-true."""
    return ("bf16-mixed" if fast_bf16() else "32-true") if precision == "auto" else precision


def start_fabric(precision: str) -> Fabric:
    """Start Lightning Fabric on the GPU or CPU; under torchrun (or `fabric run`), on all its processes.

    Otherwise one process uses one device, since starting further processes would run the program of the caller again.
    `precision` is "32-true" or "bf16-mixed".
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins import MixedPrecision, Precision
    except ImportError as error:
        missing = f"{error.name} missing"
        raise InputError("train", "lightning-fabric", missing, do="pip install 'overread[train]'") from error
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    processes, nodes, strategy = 1, 1, "auto"
    if torch.distributed.is_torchelastic_launched():
        # torchrun tells its processes how many they are in these variables, and in no other way.
        processes = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // processes
        strategy = "ddp" if processes * nodes > 1 else "auto"
    # Given as a plugin, since Fabric announces a precision that is given by name on the terminal.
    plugin = MixedPrecision("bf16-mixed", accelerator) if precision == "bf16-mixed" else Precision()
    fabric = Fabric(accelerator=accelerator, devices=processes, num_nodes=nodes, strategy=strategy, plugins=plugin)
    fabric.launch()
    return fabric
