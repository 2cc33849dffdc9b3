"""Hostile names at every place where a name can stand: what is written outside of the output folder, and how it ends.

    python validation/hostile_names.py [--names N] [--seed N]

Every name is put, in turn, in place of a source and a model of a protocol, a site (built, split by site), an image
whose file is found by `png/{image_id}.png`, the path of an image, a model in predictions (evaluated and reported, with
MODEL=FOLDER of heat maps), and the name of a trained model. Two canaries lie in the way: a folder outside of the
output, which many of the names lead to, and one inside it. An audit hook of the interpreter sees every file that is
opened for writing, made, renamed, removed or linked. After every call, the canaries and everything else outside of the
output are compared with what was there.

It takes a few minutes on one core. It ends with an error if anything was written outside or ended in a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from overread import datasets, tables
from overread.cohort import CohortConfig, build
from overread.cohort.site_folds import splits
from overread.errors import InputError
from overread.evaluation import EvaluationConfig
from overread.images.recipe.pixel_recipe import Recipe
from overread.protocol import evaluate, load, run, study_run
from overread.training.model_training import train
from overread.training.training_config import TrainingConfig

BATCH = 20  # models that one evaluation takes
PROTOCOL = """
[study]
title = "T"
training_seeds = [1]
[sources.{source}]
reader = "simulate"
options = {{ images_per_site = {{ alder = 12 }}, size = 32 }}
[sites]
internal = ["alder"]
[cohort.recipe]
size = 16
[models.{model}]
sites = ["alder"]
"""


def hostile_names(precious: Path) -> list[str]:
    """Names that lead elsewhere, that a system refuses, that are ours, that programs read as something else."""
    up = ["/".join([".."] * n) for n in range(1, 7)]
    paths = [f"{u}/{end}" for u in up for end in ("precious", "precious/a.txt", "x", "")] + [
        str(precious),
        f"{precious}/a",
    ]
    paths += [p.replace("/", "\\") for p in paths] + [f"a/{p}" for p in up] + [f"./{p}" for p in up]
    paths += [
        "/",
        "//",
        "/tmp/x",
        "/etc/passwd",
        "C:",
        "C:\\",
        "C:/x",
        "c:x",
        "\\\\host\\share",
        "//host/share",
        "~",
        "~/x",
        "~root",
        "file:///etc/passwd",
        "precious",
        "link",
        "link/x",
        "a//b",
        "a/./b",
        "a/",
        "/.",
        "./",
        "\\",
    ]
    paths += [p.replace(".", "%2e").replace("/", "%2f") for p in paths[:12]] + [
        "..%00",
        "%00",
        "..;/x",
        "．．/x",
        "‥/x",
    ]
    devices = ["con", "prn", "aux", "nul", "conin$", *(f"{d}{n}" for d in ("com", "lpt") for n in (0, 1, 9))]
    windows = [f(d) for d in devices for f in (str, str.upper, lambda d: f"{d}.txt", lambda d: f"{d}.")]
    windows += ["a.", "a..", "a ", "a .", " a", "a:b", "a:$DATA", "a*", "a?", "a|b", "a<b", "a>b", 'a"b', "..."]
    ours = [
        "cohort",
        "models",
        "predictions",
        "evaluation",
        "report",
        "ledger.jsonl",
        "protocol.toml",
        "protocol.json",
        "run.json",
        "stage.json",
        "made.json",
    ]
    ours += [o.upper() for o in ours] + [o.title() for o in ours]
    ours += [
        ".overread.lock",
        ".building",
        ".finished",
        ".cohort.part",
        ".cohort.old",
        ".a.0123abcd.part",
        ".partial-0",
    ]
    controls = [f"a{chr(c)}b" for c in (*range(1, 32), 127)] + ["\0", "a\0b", "a\x00/../x"]
    shell = [
        "-rf",
        "--out",
        "-",
        "$HOME",
        "`id`",
        "$(id)",
        "a;b",
        "a&b",
        "a|b",
        "!x",
        "#x",
        "'",
        '"',
        "*",
        "?",
        "[a]",
        "{image_id}",
        "{}",
        "{0}",
        "%s",
        "%(x)s",
        "\\n",
        "=1+1",
        "@x",
        "+x",
        "<script>",
        "${x}",
        "{{x}}",
    ]
    letters = [
        "é",
        "北京",
        "مرحبا",
        "\u202egnp",
        "\u200b",
        "\ufeffa",
        "a\u0301",
        "ｃｏｎ",
        "ﬁ",
        "İ",
        "ß",
        "A\u030a",
        "😀",
        "a\u2028b",
    ]
    long = ["x" * n for n in (64, 65, 255, 256, 5000)] + ["é" * 130, "../" * 500 + "x", "a." * 40]
    cases = [
        "North",
        "north",
        "NORTH",
        "a b",
        "a-b",
        "a_b",
        "a.b",
        "seed-1",
        "0",
        "nan",
        "none",
        "null",
        "",
        ".",
        "..",
        " ",
    ]
    return list(dict.fromkeys([*paths, *windows, *ours, *controls, *shell, *letters, *long, *cases]))


@dataclass
class Watch:
    """Every write of this interpreter that is not below `allowed`, while it is set."""

    allowed: Path | None = None
    outside: list[str] = field(default_factory=list)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            touched = [path] if writes or (isinstance(mode, str) and set(mode) & set("wax+")) else []
        elif event in ("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "shutil.rmtree"):
            touched = [arguments[0]]
        elif event == "os.rename":
            touched = list(arguments[:2])
        elif event in ("os.link", "os.symlink"):  # the first is what is linked to
            touched = [arguments[1]]
        else:
            return
        allowed, self.allowed = self.allowed, None
        for path in touched:
            if not isinstance(path, int):
                place = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(path))))
                whole = os.path.join(place, os.path.basename(os.fsdecode(path)))
                if not f"{whole}/".startswith(f"{os.path.realpath(allowed)}/") and whole != os.devnull:
                    self.outside.append(f"{event} {whole}")
        self.allowed = allowed


@dataclass
class Trial:
    """The folders of all calls, and what came of them by place."""

    base: Path
    watch: Watch
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def out(self) -> Iterator[Path]:
        """A fresh output folder with a canary in it; it and the canary outside must be as they were afterwards."""
        with tempfile.TemporaryDirectory(dir=self.base) as folder:
            out = Path(folder) / "out"
            (out / "mine").mkdir(parents=True)
            (out / "mine" / "canary.txt").write_text("mine")
            yield out
            if (out / "mine" / "canary.txt").read_text() != "mine":
                raise AssertionError("the canary inside")

    def call(self, place: str, names: list[str], action: Callable[[Path], object]) -> str:
        """One call for these names: "refused", "accepted" or "tracebacks", and whether anything changed elsewhere."""
        counts = self.counts.setdefault(place, Counter())
        outcome, began = "accepted", time.monotonic()
        before = contents(self.base)
        with self.out() as out:
            self.watch.allowed, self.watch.outside = out, []
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    action(out)
            except InputError:
                outcome = "refused"
            except Exception:  # noqa: BLE001  what is counted
                outcome = "tracebacks"
                self.problems.append(f"{place} {names[:3]!r:.200}\n{traceback.format_exc()[-1500:]}")
            finally:
                self.watch.allowed = None
            if self.watch.outside:
                counts["written outside"] += 1
                self.problems.append(f"{place} {names[:3]!r:.200}: {self.watch.outside[:5]}")
        if contents(self.base) != before:
            counts["canaries changed"] += 1
            self.problems.append(f"{place} {names[:3]!r:.200}: a canary has changed")
        if outcome != "refused" or len(names) == 1:  # of several names, one may have been refused: see `evaluated`
            counts[outcome] += len(names)
            counts["names"] += len(names)
        counts["ms"] += round(1000 * (time.monotonic() - began))
        return outcome


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and its bytes; links and folders by what they are."""
    found = {}
    for top, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(top) / name
            found[str(path)] = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    return found


def toml(name: str) -> str:
    """A name as a key of TOML; what TOML has no way to write is written by its escape all the same."""
    plain = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(plain.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in name) + '"'


def protocols(trial: Trial, name: str) -> None:
    """A source, then a model, of this name: loaded and, where it is accepted, run up to the cohort."""
    path = trial.base / "p.toml"
    for place, source, model in (("source", name, "m"), ("model of a protocol", "s", name)):
        path.write_text(
            PROTOCOL.format(source=toml(source), model=toml(model)), encoding="utf-8", errors="surrogatepass"
        )

        def action(out: Path, place: str = place) -> None:
            if place == "source":
                run(path, out)
            else:
                held = study_run._Study(load(path), out, None, 1, lambda *_: None)
                for folder in held.stages():
                    tables.make_folder(folder)

        trial.call(place, [name], action)
    path.unlink()


def cohorts(trial: Trial, name: str, root: Path) -> None:
    """A site of this name, then an image whose file is found by it."""
    ids = [f"i{n:02d}" for n in range(12)]
    images = pl.DataFrame({"image_id": ids, "patient_id": ids, "path": [f"png/{i}.png" for i in ids]})
    images = images.with_columns(site=pl.Series([name if n % 2 else "north" for n in range(12)]))
    labels = pl.DataFrame({"case_id": ids, "finding": "edema", "source": "s", "state": ["present", "absent"] * 6})
    config = CohortConfig(recipe=Recipe(8))

    def site(out: Path) -> None:
        source = tables.Source(tables.check(images, "images"), tables.check(labels, "labels"))
        build(source, root, out / "cohort", config)
        splits(out / "cohort", out / "splits", config)

    def image(out: Path) -> None:
        given = out / "given"
        shutil.copytree(root, given, symlinks=True)
        table = images.with_columns(site=pl.lit("a"), image_id=pl.Series([name, *ids[1:]])).drop("path")
        table.write_parquet(given / "images.parquet")
        options = {
            "images": "images.parquet",
            "columns": {
                "image_id": "image_id",
                "patient_id": "patient_id",
                "site": "site",
                "path": "png/{image_id}.png",
            },
        }
        source = datasets.load("table", given, options)
        build(source, given, out / "cohort", CohortConfig(recipe=Recipe(8), max_unreadable=0.5))

    def linked(out: Path) -> None:
        made = images.with_columns(path=pl.Series([f"png/{name}.png", *images["path"][1:]]))
        source = tables.Source(tables.check(made, "images"), tables.check(labels, "labels"))
        build(source, root, out / "cohort", CohortConfig(recipe=Recipe(8), max_unreadable=0.5))

    trial.call("site, splits", [name], site)
    trial.call("image_id in a template", [name], image)
    trial.call("path of an image", [name], linked)


def evaluated(trial: Trial, names: list[str], root: Path) -> None:
    """Predictions of models of these names, evaluated and reported, and heat maps for each of them."""
    rng = np.random.default_rng(1)
    ids = [f"i{n:02d}" for n in range(60)]
    truth = rng.random(60) < 0.5
    images = pl.DataFrame({"image_id": ids, "patient_id": ids, "site": "north", "split": "test"})
    labels = pl.DataFrame(
        {"case_id": ids, "finding": "edema", "source": "s", "state": np.where(truth, "present", "absent")}
    )

    def action(out: Path) -> None:
        files = [out / "given" / f"{n}.parquet" for n in ("images", "labels", "predictions")]
        files[0].parent.mkdir()
        images.write_parquet(files[0])
        labels.write_parquet(files[1])
        scores = [
            images.select("image_id", finding=pl.lit("edema"), model=pl.lit(name)).with_columns(
                pl.Series("score", rng.random(60))
            )
            for name in names
        ]
        pl.concat(scores).write_parquet(files[2])
        evaluate(files[0], files[1], [files[2]], out=out / "evaluation", config=EvaluationConfig(replicates=100))
        from overread.protocol import report

        report(out / "evaluation", out / "again", title=names[0], heatmaps=dict.fromkeys(names, root))

    outcome = trial.call("model column, report MODEL=", names, action)
    if outcome == "refused" and len(names) > 1:
        middle = len(names) // 2
        evaluated(trial, names[:middle], root)
        evaluated(trial, names[middle:], root)


def trained(trial: Trial, name: str, cohort: Path) -> None:
    """A model that is trained under this name."""
    config = TrainingConfig(network="densenet-tiny", epochs=1, batch_size=8, precision="32-true", findings=("edema",))
    trial.call("train --name", [name], lambda out: train(cohort, out / "model", config, name=name))


def pictures(root: Path) -> None:
    (root / "png").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for n in range(12):
        Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8)).save(root / "png" / f"i{n:02d}.png")
    (root / "png" / "link").symlink_to(root.parent / "precious")
    (root / "png" / "precious.png").symlink_to(root.parent / "precious" / "a.txt")


def training_cohort(root: Path) -> Path:
    """A cohort of 24 tiny pictures to train on."""
    rng = np.random.default_rng(1)
    ids = [f"t{n:02d}" for n in range(40)]
    for i in ids:
        Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(root / f"{i}.png")
    images = pl.DataFrame({"image_id": ids, "patient_id": ids, "site": "a", "path": [f"{i}.png" for i in ids]})
    labels = pl.DataFrame({"case_id": ids, "finding": "edema", "source": "s", "state": ["present", "absent"] * 20})
    source = tables.Source(tables.check(images, "images"), tables.check(labels, "labels"))
    build(source, root, root / "cohort", CohortConfig(recipe=Recipe(32)))
    return root / "cohort"


def main() -> None:
    """Run all places and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=0, help="only so many of the names, evenly spaced; 0 = all")
    chosen = parser.parse_args()
    watch, began = Watch(), time.monotonic()
    study_run._train = study_run._predict = study_run._evaluate = study_run._report = lambda *_: Path()  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as given:
        base = Path(folder)
        (base / "precious").mkdir()
        (base / "precious" / "a.txt").write_text("mine")
        root, cohort = base / "root", training_cohort(Path(given))
        pictures(root)
        names = hostile_names(base / "precious")
        step = max(1, len(names) // chosen.names) if chosen.names else 1
        names = names[::step]
        trial = Trial(base, watch)
        sys.addaudithook(watch.hook)
        evaluated(trial, ["plain"], root)  # caches of fonts and kernels are written now
        trained(trial, "plain", cohort)
        trial.counts.clear()
        trial.problems.clear()
        for name in names:
            protocols(trial, name)
            cohorts(trial, name, root)
            trained(trial, name, cohort)
        for start in range(0, len(names), BATCH):
            evaluated(trial, names[start : start + BATCH], root)
    report(trial, len(names), time.monotonic() - began)


def report(trial: Trial, n_names: int, seconds: float) -> None:
    """The table, the problems, and an error where there are any."""
    columns = ("names", "refused", "accepted", "written outside", "canaries changed", "tracebacks")
    print(f"{n_names} names, {seconds:.0f} s\n")
    print(f"| place | {' | '.join(columns)} | seconds |\n|---|{'---:|' * (len(columns) + 1)}")
    for place, counts in trial.counts.items():
        print(f"| {place} | {' | '.join(str(counts[c]) for c in columns)} | {counts['ms'] / 1000:.0f} |")
    for problem in trial.problems:
        print(f"\n{problem}", file=sys.stderr)
    sys.exit(1 if trial.problems else 0)


if __name__ == "__main__":
    main()
