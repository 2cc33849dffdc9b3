import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

_FAULTS = """
import resource
from overread.images.store.malloc_tuning import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):  # a file, and a copy of it, as they are read
        first = bytearray(12 << 20)
        second = bytes(first)
        del first, second
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

asked = {asked}
print(int(keep_freed_memory()) if asked else -1)
faults()
print(faults())
"""


def faults(*, asked):
    run = subprocess.run(
        [sys.executable, "-c", _FAULTS.format(asked=asked)], capture_output=True, text=True, check=True, timeout=60
    )
    could, count = run.stdout.split()
    return int(could), int(count)


def test_memory_that_is_freed_is_used_again_where_the_c_library_can_be_asked():
    could, kept = faults(asked=True)
    _, usual = faults(asked=False)
    assert kept <= usual
    if could:
        assert kept < 1000 < usual
