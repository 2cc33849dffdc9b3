"""Look-up tables (PS3.3 C.11.1, C.11.2) rebuilt from their numeric entries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from overread.images.deidentification.values import checked
from overread.images.raster.image_faults import Fault

SEQUENCES = (0x00283000, 0x00283010)  # modality LUT, VOI LUT
_MOST = 65536


def rebuilt(item: Dataset, *, little: bool) -> Dataset:
    """Rebuild a table from its descriptor and as many entries as the descriptor states.

    Raises Fault if the entries are not monotonic: they are then not a grey scale and may be text.
    """
    order = "<" if little else ">"
    descriptor = item.LUTDescriptor
    if isinstance(descriptor, bytes):  # its VR depends on the picture's, and could not be told
        descriptor = np.frombuffer(descriptor[:6], f"{order}u2").tolist()
    count, first, bits = (int(v) for v in descriptor)
    count = count or _MOST
    values = _entries(item.LUTData, count, order)
    steps = np.diff(values.astype(np.int64))
    if not (np.all(steps >= 0) or np.all(steps <= 0)):
        raise Fault("a look-up table (0028,3006) whose entries neither rise nor fall: it can hold text")
    table = Dataset()
    count = values.size % _MOST  # 0 stands for 65,536
    table.add_new(
        0x00283002,
        *(("SS", [count - _MOST * (count > 32767), first, bits]) if first < 0 else ("US", [count, first, bits])),
    )
    if "ModalityLUTType" in item:
        table.ModalityLUTType = (checked(0x00283004, "LO", [item.ModalityLUTType]) or ["US"])[0]
    table.add_new(0x00283006, "OW", values.astype("<u2").tobytes())
    return table


def _entries(data: object, count: int, order: str) -> NDArray[np.uint16]:
    """Entries as 16-bit numbers; 8-bit entries packed into words are widened."""
    if isinstance(data, bytes):
        wide = len(data) >= 2 * count
        entries = np.frombuffer(data[: (2 if wide else 1) * count], f"{order}u2" if wide else "u1").astype(np.uint16)
    else:
        entries = (np.atleast_1d(np.asarray(data, np.int64))[:count] & 0xFFFF).astype(np.uint16)
    if not entries.size:
        raise Fault("a look-up table (0028,3006) without entries")
    return entries
