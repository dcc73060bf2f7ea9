#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints circular imports between the module files of a Rust crate; fails if there are any.

Usage: import-circles.py [--strict] TOP.rs...

A parent module represents its children: declaring them, re-exporting their names or calling
`child::f()` does not count as an import. With --strict, only names that are merely declared or
re-exported are ignored. A path through a re-export leads to the file that defines the name.
Comments, strings and tests are ignored. For each file in a circle, a shortest circle is printed.
"""

import re
import sys
from pathlib import Path

NOISE = re.compile(  # #[path = ..] is kept
    r"""#\[path\s*=\s*"[^"]+"\]|//[^\n]*|/\*.*?\*/"""
    r"""|\br(#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\.[^']*|[^\\'])'""",
    re.S,
)
TEST = re.compile(
    r"#\[(?:cfg\(test\)|[\w:]*kunit_tests\([^\]]*)\][^;{]*|\bmod\s+tests\b\s*(?=[;{])"
)
USE = re.compile(r"(pub(?:\s*\([^)]*\))?\s+)?\buse\s+([^;]+);")
MOD = re.compile(
    r'(?:#\[path\s*=\s*"([^"]+)"\]\s*)?(?:\bpub(?:\s*\([^)]*\))?\s+)?\bmod\s+(\w+)\s*([;{])'
)
ITEM = re.compile(
    r"\b(?:fn|struct|enum|union|trait|type|const|static|mod|macro_rules!)\s+(?:mut\s+)?(\w+)"
)
INLINE = re.compile(r"(?<![\w:.])\$?((?:\w+::)+\w+)")


def end_of_item(text, start):
    """Returns the index after the item at `start`: after its `;` or its closing brace."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "{([") - (text[i] in "})]")
        if depth == 0 and text[i] in ";}":
            return i + 1
    return len(text)


def without_tests(text):
    while match := TEST.search(text):
        text = text[: match.start()] + text[end_of_item(text, match.end()) :]
    return text


def leaves(tree, prefix=()):
    """Yields (path, name) for each import of a `use` tree; the name is None for `*`."""
    tree = tree.strip()
    if "{" in tree:
        head, body = tree.split("{", 1)
        depth, part = 0, ""
        for char in body[: body.rindex("}")] + ",":
            depth += (char == "{") - (char == "}")
            if char == "," and depth == 0:
                yield from leaves(part, prefix + tuple(filter(None, head.strip().split("::"))))
                part = ""
            else:
                part += char
    elif tree:
        path, _, alias = (s.strip() for s in tree.partition(" as "))
        path = prefix + tuple(filter(None, path.split("::")))
        if path[-1] == "self" and len(path) > 1:
            path = path[:-1]
        yield (path[:-1], None) if path[-1] == "*" else (path, alias or path[-1])


class Module:
    def __init__(self, file, folder, path, modules):
        raw = file.read_text()
        text = without_tests(NOISE.sub(lambda m: {"#": m[0], "/": ""}.get(m[0][0], '""'), raw))
        self.file, self.path = file, path
        self.uses = [(bool(m[1]), *leaf) for m in USE.finditer(text) for leaf in leaves(m[2])]
        self.body = re.sub(r"\bpub\s*\([^)]*\)", "", USE.sub("", text))
        self.items = set(ITEM.findall(self.body))
        self.names = {name: target for _, target, name in self.uses}
        self.words = set(re.findall(r"\w+", self.body))
        modules.setdefault(path, []).append(self)
        for moved, name, kind in MOD.findall(text):
            if kind == "{":  # the same file
                modules.setdefault(path + (name,), []).append(self)
            elif moved:
                Module(file.parent / moved, (file.parent / moved).parent, path + (name,), modules)
            else:
                child = folder / f"{name}.rs"
                child = child if child.exists() else folder / name / "mod.rs"
                Module(child, folder / name, path + (name,), modules)


def resolve(modules, here, path, seen=()):
    """Returns the modules that define the target of `path` in module `here`; none for other crates."""
    if (here.path, path) in seen or not path:
        return []
    seen += ((here.path, path),)
    at, rest = here.path, list(path)
    if rest[0] == "crate":
        at, rest = (), rest[1:]
    elif rest[0] in ("self", "super"):
        while rest and rest[0] in ("self", "super"):
            at, rest = at[: len(at) - (rest[0] == "super")], rest[1:]
    elif at + (rest[0],) not in modules and rest[0] not in here.items:
        target = here.names.get(rest[0])
        if not target or target[0] == path[0]:
            return []  # Another crate.
        return resolve(modules, here, target + path[1:], seen)
    while rest and at + (rest[0],) in modules:
        at, rest = at + (rest[0],), rest[1:]
    if not rest:
        return []  # A module: only the names used from it count.
    for module in modules.get(at, []):
        if rest[0] in module.items:
            return modules[at]
        if rest[0] in module.names:
            return resolve(modules, module, module.names[rest[0]] + tuple(rest[1:]), seen)
        for _, target, name in module.uses:
            if name is None and (found := resolve(modules, module, target + tuple(rest), seen)):
                return found
    return []


def edges(modules, strict):
    """Returns, for each file, the files it imports from, with the names."""
    graph = {}
    for module in {id(m): m for same in modules.values() for m in same}.values():
        used = []
        for public, path, name in module.uses:
            if name is None and not public:
                for names in resolve_module(modules, module, path):
                    used += [path + (n,) for n in (names.items | set(names.names)) & module.words]
            elif name and (not public or strict and name in module.words):
                used.append(path)
        for path in (tuple(p.split("::")) for p in INLINE.findall(module.body)):
            if strict or module.path + path[:1] not in modules:
                used.append(path)
        targets = graph.setdefault(module.file, {})
        for path in used:
            for target in resolve(modules, module, path):
                if target.file != module.file:
                    targets.setdefault(target.file, set()).add(path[-1])
    return graph


def resolve_module(modules, here, path):
    at, rest = here.path, path
    while rest and rest[0] in ("crate", "self", "super"):
        at, rest = {"crate": (), "self": at, "super": at[:-1]}[rest[0]], rest[1:]
    return modules.get(at + rest, [])


def shortest_circle(graph, start):
    """Returns the files of a shortest circle through `start`, or None."""
    seen, ways = set(), [[start]]
    for way in ways:
        for target in sorted(graph[way[-1]]):
            if target == start:
                return way
            if target not in seen:
                seen.add(target)
                ways.append(way + [target])
    return None


def main():
    strict = "--strict" in sys.argv
    circles = {}
    for top in map(Path, [arg for arg in sys.argv[1:] if arg != "--strict"] or sys.exit(__doc__)):
        modules = {}
        Module(top, top.parent, (), modules)
        graph = edges(modules, strict)
        for file in sorted(graph):
            if circle := shortest_circle(graph, file):
                circles.setdefault(frozenset(circle), (circle, graph))
    for circle, graph in circles.values():
        print(f"circle of {len(circle)} files:")
        for source, target in zip(circle, circle[1:] + circle[:1]):
            print(f"  {source} -> {target}: {', '.join(sorted(graph[source][target]))}")
    sys.exit(bool(circles))


if __name__ == "__main__":
    main()
