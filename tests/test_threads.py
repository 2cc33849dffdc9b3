import os
import subprocess
import sys

import pytest

from overread.threads import SPINS, limit_spinning


def test_setting_is_made_where_the_user_made_none():
    environment: dict[str, str] = {}
    assert limit_spinning(environment)
    assert environment == {"GOMP_SPINCOUNT": str(SPINS)}


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_setting_of_the_user_is_kept(name):
    environment = {name: "active"}
    assert not limit_spinning(environment)
    assert environment == {name: "active"}


@pytest.mark.parametrize("module", ["overread.learn.config", "overread.learn.train", "overread.learn.predict"])
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
