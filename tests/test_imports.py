"""The layers hold, and the base install needs no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


def test_imports_run_only_downward():
    pytest.importorskip("importlinter")
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_command_of_the_base_install_loads_torch_or_plots_at_import():
    code = (
        "import sys, overread.cli, overread.protocol, overread.evaluation, overread.cohort, overread.datasets.table\n"
        "print([m for m in ('torch', 'lightning_fabric', 'matplotlib', 'torchvision') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_torch_a_base_install_can_still_import_what_it_needs():
    code = (
        "import sys\nfor m in ('torch', 'lightning_fabric', 'safetensors'): sys.modules[m] = None\n"
        "import overread.cli, overread.protocol, overread.evaluation, overread.reporting\n"
        "import overread.training.training_config\nprint('ok')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "ok"
