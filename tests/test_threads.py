import logging
import os
import re
import subprocess
import sys
from contextlib import suppress

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from overread import threads
from overread.errors import InputError
from overread.threads import SPINS, asked, computing, cores, limit_spinning, number, recorded, resumed


def test_setting_is_made_where_the_user_made_none():
    environment: dict[str, str] = {}
    assert limit_spinning(environment)
    assert environment == {"GOMP_SPINCOUNT": str(SPINS)}


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_setting_of_the_user_is_kept(name):
    environment = {name: "active"}
    assert not limit_spinning(environment)
    assert environment == {name: "active"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "overread.training.training_config",
        "overread.training.model_training",
        "overread.training.scoring.cohort_scores",
    ],
)
def test_setting_is_made_before_torch_is_loaded(module):
    # In a package's __init__ it comes before the modules below it, hence before their torch.
    program = (
        "import sys, os\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"import {module}\n"
        "import torch\n"
    )
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == str(SPINS)


@pytest.mark.parametrize(("text", "count"), [("3", 3), (" 2 ", 2), ("4,2,1", 4), ("", None), ("  ", None)])
def test_the_first_number_of_omp_num_threads_counts(text, count):
    assert asked({"OMP_NUM_THREADS": text}) == count


@given(
    st.text().filter(lambda t: t.strip() and not t.partition(",")[0].strip().isdigit()) | st.sampled_from(["0", "-1"])
)
def test_what_is_no_number_of_threads_is_refused(text):
    with pytest.raises(InputError, match="OMP_NUM_THREADS: expected a whole number"):
        asked({"OMP_NUM_THREADS": text})


def test_the_number_is_that_of_the_block_then_the_users_then_as_begun_then_the_cores(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert (number(), number(3), number(9), number(0)) == (8, 3, 8, 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "12")
    assert (number(), number(3)) == (12, 12)
    with computing(2):
        assert (number(), number(3)) == (2, 2)
        with computing() as inner:
            assert inner == 2
        with computing(5):
            assert number() == 5
        assert number() == 2
    assert number() == 12


@numba.njit(parallel=True)
def doubled(values):
    out = np.empty_like(values)
    for i in numba.prange(len(values)):
        out[i] = 2 * values[i]
    return out


def now(torch):
    pools = sorted((p["filepath"], p["num_threads"]) for p in threadpool_info())
    return torch.get_num_threads(), numba.get_num_threads(), pools


@pytest.mark.slow
@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("before", [1, 2, 5])
def test_every_library_has_its_threads_again_afterwards(before, failing):
    torch = pytest.importorskip("torch")
    usual = torch.get_num_threads()
    doubled(np.ones(9))
    torch.set_num_threads(before)
    state = now(torch)
    with suppress(ZeroDivisionError), computing(3):
        assert torch.get_num_threads() == 3
        assert {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"} == {1}
        doubled(np.ones(9))
        assert torch.get_num_threads() == 3
        if failing:
            1 / 0  # noqa: B018
    assert now(torch) == state
    torch.set_num_threads(usual)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import torch", "run()", ""])
def test_a_kernel_that_ran_before_does_not_change_the_threads_of_training(first):
    # Where numba ran first, OpenMP had as many threads as cores for all of the process, whatever OMP_NUM_THREADS says.
    program = f"""
import numba, numpy as np
from overread.threads import computing
@numba.njit(parallel=True)
def kernel(values):
    for i in numba.prange(len(values)): values[i] += 1
def run():
    with computing(): kernel(np.ones(9))
{first}
run()
import torch
print(torch.get_num_threads())
with computing(): print(torch.get_num_threads())
run()
with computing(): print(torch.get_num_threads())
"""
    clean = {k: v for k, v in os.environ.items() if k != "NUMBA_NUM_THREADS"}
    for count in (1, cores() + 1):
        asked = clean | {"OMP_NUM_THREADS": str(count), "NUMBA_NUM_THREADS": str(cores() + 1)}
        done = subprocess.run([sys.executable, "-c", program], env=asked, capture_output=True, text=True, check=True)
        natural, *inside = done.stdout.split()
        assert inside == [str(count)] * 2
        assert int(natural) <= count


@pytest.mark.slow
@pytest.mark.parametrize("outside", [1, 2, 3])
def test_matrix_products_do_not_depend_on_the_threads_of_blas(outside):
    rng = np.random.default_rng(0)
    one, other = rng.random((60, 12_000)), rng.random((60, 12_000))
    with computing(1):
        expected = one @ other.T, one @ other[0], one[0] @ other[0], np.linalg.inv(one[:, :60])
    with threadpool_limits(outside, user_api="blas"), computing(4):
        found = one @ other.T, one @ other[0], one[0] @ other[0], np.linalg.inv(one[:, :60])
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("begun", "users", "used", "said"),
    [
        (None, None, 8, ""),
        (8, None, 8, ""),
        (2, None, 2, "The work goes on with 2 threads, as it was begun; 8 cores are available. Set OMP_NUM_THREADS"),
        (
            9,
            None,
            8,
            "was begun with 9 threads and goes on with 8 threads: .* Set OMP_NUM_THREADS=9 to go on",
        ),
        (2, "1", 1, "was begun with 2 threads and goes on with 1 thread: .* may differ in the last bits"),
        (1, "1", 1, ""),
    ],
)
def test_work_goes_on_as_it_was_begun_or_says_that_it_does_not(monkeypatch, caplog, begun, users, used, said):
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if users:
        monkeypatch.setenv("OMP_NUM_THREADS", users)
    with caplog.at_level(logging.WARNING, "overread"):
        assert resumed("The work", begun) == used
    assert len(caplog.messages) == bool(said)
    assert re.search(said, "".join(caplog.messages))


@pytest.mark.slow
def test_the_record_names_what_the_last_bits_may_depend_on():
    torch = pytest.importorskip("torch")
    doubled(np.ones(9))
    kept = threads.record(2)
    assert recorded(kept) == 2
    assert kept["torch"] == torch.__version__
    assert kept["cpu capability"] == torch.backends.cpu.get_cpu_capability()
    assert kept["numba threading layer"] == numba.threading_layer()


@pytest.mark.slow
@given(st.dictionaries(st.just("threads"), st.none() | st.text() | st.integers() | st.lists(st.integers())))
def test_a_damaged_record_has_no_number_or_one_that_can_be_used(kept):
    found = recorded(kept)
    assert found is None or found >= 1
