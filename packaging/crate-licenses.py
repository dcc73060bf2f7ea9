#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the crates that a program is linked with, and their licenses.

Usage: cargo metadata ... | crate-licenses.py

Each text of a license is printed once, after the crates that it is the license of.
"""

import collections
import json
import pathlib
import sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
needs = {
    node["id"]: [
        need["pkg"] for need in node["deps"] if any(kind["kind"] is None for kind in need["dep_kinds"])
    ]
    for node in metadata["resolve"]["nodes"]
}

root = metadata["resolve"]["root"]
linked, waiting = set(), [root]
while waiting:
    package = waiting.pop()
    if package not in linked:
        linked.add(package)
        waiting += needs[package]
crates = sorted((packages[package] for package in linked - {root}), key=lambda crate: crate["name"])

texts = collections.defaultdict(list)
for crate in crates:
    name = f"{crate['name']} {crate['version']}"
    print(f"{name}: {crate['license']}")
    folder = pathlib.Path(crate["manifest_path"]).parent
    files = [file for file in folder.iterdir() if file.name.upper().startswith(("LICEN", "COPYING", "COPYRIGHT"))]
    for file in sorted(file for file in files if file.is_file()):
        texts[file.read_text(encoding="utf-8").strip()].append(name)
    if not files:
        # The authors are all that there is.
        print(f"  by {', '.join(crate['authors']) or 'its authors, whom it does not name'}")

for text, names in texts.items():
    print(f"\n{'-' * 78}\n{', '.join(names)}\n\n{text}")
