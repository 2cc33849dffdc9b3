"""What an installation of overread is made of: licences, libraries bundled in wheels, known vulnerabilities.

    python validation/audit.py [--require-database]

For every package that overread needs, with and without extras, the licence is read from its metadata. A licence that is
unknown, or GPL, AGPL or LGPL in the default installation, is a failure. Shared libraries that wheels bring along are
listed with theirs, from the table below: one that the table lacks is a failure, so that somebody looks. Vulnerabilities
are looked up by pip-audit where it is installed and its database can be reached; otherwise that is printed
(`--require-database`: a failure).
"""

from __future__ import annotations

import argparse
import importlib.metadata as metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("", "train", "timm", "cluster", "clinic", "test", "dev")
COPYLEFT = re.compile(r"\bA?L?GPL|General Public", re.IGNORECASE)
# What packages say in words or files where they give no expression; read in the package itself.
STATED = {"dataframely": "BSD-3-Clause"}
# Libraries in wheels. The first part of the file's name -> licence. GCC's run-time libraries may be linked by any code
# (GCC-exception-3.1); libquadmath is LGPL, a shared library of its own that can be exchanged: the ways in which NumPy,
# SciPy and others ship on every system. Nothing of overread is derived from them.
LIBRARIES = {
    "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgcc_s": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libstdc++": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libquadmath": "LGPL-2.1-or-later (shared, exchangeable)",
    "libscipy_openblas": "BSD-3-Clause",
    "libscipy_openblas64_": "BSD-3-Clause",
    "libLerc": "Apache-2.0",
    "libSPERR": "BSD-3-Clause",
    "libSZ3c": "BSD-3-Clause",
    "libaec": "BSD-2-Clause",
    "libsz": "BSD-2-Clause",
    "libaom": "BSD-2-Clause",
    "libavif": "BSD-2-Clause",
    "libblosc": "BSD-3-Clause",
    "libblosc2": "BSD-3-Clause",
    "libbrotlicommon": "MIT",
    "libbrotlidec": "MIT",
    "libbrotlienc": "MIT",
    "libcharls": "BSD-3-Clause",
    "libcpcodec": "Apache-2.0",
    "libdeflate": "MIT",
    "libgif": "MIT",
    "libjpeg": "IJG AND BSD-3-Clause AND Zlib",
    "libjpegxr": "BSD-2-Clause",
    "libjxrglue": "BSD-2-Clause",
    "libjxl": "BSD-3-Clause",
    "libjxl_cms": "BSD-3-Clause",
    "libjxl_threads": "BSD-3-Clause",
    "liblcms2": "MIT",
    "liblz4": "BSD-2-Clause",
    "liblzfse": "BSD-3-Clause",
    "liblzhamcomp": "MIT",
    "liblzhamdecomp": "MIT",
    "liblzhamdll": "MIT",
    "liblzma": "0BSD",
    "liblzokay": "MIT",
    "libmeshoptimizer": "MIT",
    "libopenjp2": "BSD-2-Clause",
    "libopenjph": "BSD-2-Clause",
    "libpng16": "libpng-2.0",
    "libsharpyuv": "BSD-3-Clause",
    "libsnappy": "BSD-3-Clause",
    "libtiff": "libtiff",
    "libuhdr": "Apache-2.0",
    "libwebp": "BSD-3-Clause",
    "libwebpdemux": "BSD-3-Clause",
    "libwebpmux": "BSD-3-Clause",
    "libzfp": "BSD-3-Clause",
    "libzopfli": "Apache-2.0",
    "libzstd": "BSD-3-Clause",
    "libXau": "MIT",
    "libxcb": "MIT",
    "libfreetype": "FTL",
    "libharfbuzz": "MIT",
}


def needed(extra: str) -> dict[str, metadata.Distribution]:
    """The installed packages that overread needs with this extra, by name; those of other platforms are left out."""
    found: dict[str, metadata.Distribution] = {}
    left = [("overread", (extra,) if extra else ())]
    while left:
        name, extras = left.pop()
        for text in metadata.distribution(name).requires or ():
            requirement = Requirement(text)
            wanted = [e for e in (*extras, "") if not requirement.marker or requirement.marker.evaluate({"extra": e})]
            key = canonicalize_name(requirement.name)
            if not wanted or key in found:
                continue
            try:
                found[key] = metadata.distribution(key)
            except metadata.PackageNotFoundError:
                print(f"  not installed: {requirement}")
                continue
            left.append((key, tuple(requirement.extras)))
    found.pop("overread", None)
    return found


def licence(package: metadata.Distribution) -> str:
    """The licence of a package as its metadata have it: expression, else classifiers, else a short text; "" = none."""
    fields = package.metadata
    name = canonicalize_name(fields["Name"])
    classifiers = [c.rpartition(" :: ")[2] for c in fields.get_all("Classifier") or () if c.startswith("License")]
    classifiers = [c for c in classifiers if c != "OSI Approved"]
    text = (fields.get("License") or "").strip()
    short = text if text and len(text) < 60 and "\n" not in text else ""
    return fields.get("License-Expression") or STATED.get(name) or ", ".join(classifiers) or short


def bundled(package: metadata.Distribution) -> list[str]:
    """The shared libraries that a wheel brings along for its extension modules, by the first part of their names."""
    files = [Path(str(f)) for f in package.files or ()]
    inside = [f for f in files if any(p.endswith(".libs") or p == ".dylibs" for p in f.parts) or f.suffix == ".dll"]
    return sorted({re.split(r"[-.]", f.name)[0] for f in inside if f.name})


def check_licences() -> list[str]:
    """Print every licence; what is wrong with them."""
    problems, seen = [], set[str]()
    for extra in EXTRAS:
        new = {name: p for name, p in needed(extra).items() if name not in seen}
        seen |= set(new)
        print(f"\n{f'overread[{extra}] adds' if extra else 'overread'}: {len(new)} packages")
        for name, package in sorted(new.items()):
            said = licence(package)
            print(f"  {name} {package.version}: {said or 'UNKNOWN'}")
            if not said:
                problems.append(f"{name}: no licence is stated")
            elif COPYLEFT.search(said) and extra in ("", "train"):
                problems.append(f"{name}: {said} in an installation that everybody gets")
    return problems


def check_libraries() -> list[str]:
    """Print the libraries in wheels by licence; those that the table lacks."""
    problems, by_licence = [], defaultdict[str, set[str]](set)
    for name, package in sorted(needed("train").items()):
        for library in bundled(package):
            if library in LIBRARIES:
                by_licence[LIBRARIES[library]].add(f"{library} ({name})")
            elif name != "torch":  # torch's own libraries and NVIDIA's have torch's and NVIDIA's terms
                problems.append(f"{name}: the bundled library {library} is not in the table of licences")
    print("\nLibraries bundled in wheels of overread[train]:")
    for said, libraries in sorted(by_licence.items()):
        print(f"  {said}: {', '.join(sorted(libraries))}")
    return problems


def check_vulnerabilities(*, required: bool) -> list[str]:
    """Run pip-audit on the versions of the lock; what it found, or that it could not look."""
    lock = Path(__file__).parents[1] / "requirements-dev.lock"
    program = shutil.which("pip-audit", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    print("\nVulnerabilities:")
    if program is None:
        return _not_checked("pip-audit is not installed (pip install pip-audit)", required=required)
    command = [program, "--requirement", str(lock), "--disable-pip", "--require-hashes", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        words = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return _not_checked(f"the database cannot be reached ({words[:200]})", required=required)
    known = [p for p in packages if "skip_reason" not in p]
    if not known:
        return _not_checked("the database knows none of the packages: another index in its place?", required=required)
    print(f"  {len(known)} of {len(packages)} packages were looked up")
    found = [f"{p['name']} {p['version']}: {v['id']}, mended in {v['fix_versions']}" for p in known for v in p["vulns"]]
    print("\n".join(f"  {line}" for line in found or ["none known"]))
    return found


def _not_checked(why: str, *, required: bool) -> list[str]:
    print(f"  not checked: {why}")
    return ["vulnerabilities were not checked"] if required else []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--require-database", action="store_true")
    given = parser.parse_args()
    problems = [*check_licences(), *check_libraries(), *check_vulnerabilities(required=given.require_database)]
    print(f"\n{len(problems)} problems" + "".join(f"\n  {p}" for p in problems))
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()
