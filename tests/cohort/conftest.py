import numpy as np
import polars as pl
import pytest
from PIL import Image

from overread import tables
from overread.tables import Source


@pytest.fixture
def hospital(tmp_path):
    """Make a source: n patients with 1-3 images each (10 x 12 pixels), findings with given prevalences."""

    def make(site="north", n=20, *, seed=0, prevalence=None, prefix="", write=True, **columns):
        rng = np.random.default_rng(seed)
        rows, labels = [], []
        for p in range(n):
            for k in range(int(rng.integers(1, 4))):
                image_id = f"{prefix}{site}-{p:03d}-{k}"
                rows.append(
                    {
                        "image_id": image_id,
                        "patient_id": f"{prefix}{site}-{p:03d}",
                        "site": site,
                        "path": f"{image_id}.png",
                        "view": ["PA", "AP", "LATERAL"][int(rng.integers(3))],
                        "age_years": float(rng.integers(10, 90)),
                    }
                )
                for finding, share in (prevalence or {"edema": 0.3, "hernia": 0.1}).items():
                    state = "present" if rng.random() < share else "absent"
                    labels.append({"case_id": image_id, "finding": finding, "source": "s", "state": state})
                if write:
                    Image.fromarray(rng.integers(0, 255, (12, 10), dtype=np.uint8)).save(tmp_path / f"{image_id}.png")
        images = pl.DataFrame(rows).with_columns(**columns)
        return Source(tables.check(images, "images"), tables.check(pl.DataFrame(labels), "labels"))

    return make
