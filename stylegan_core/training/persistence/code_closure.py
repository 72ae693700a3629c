"""Digest of the code that a training runs: its modules, followed through their import statements."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

import stylegan_core

_PACKAGE = "stylegan_core"
_TRAINING = (f"{_PACKAGE}.training.trainer", f"{_PACKAGE}.training.validation", f"{_PACKAGE}.data.crops")


def code_closure_digest(recipe: str, root: Path | None = None) -> str:
    """SHA-256, in hex, over the modules that training ``recipe`` imports.

    Edits to other recipes or to picture decoding do not change it.

    Args:
        recipe: its name.
        root: folder that contains the package; default: the installed one.
    """
    place = root or Path(next(iter(stylegan_core.__path__))).parent
    digest = hashlib.sha256()
    for name, path in sorted(code_closure([*_TRAINING, f"{_PACKAGE}.recipes.{recipe}"], place).items()):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def code_closure(modules: Iterable[str], root: Path) -> dict[str, Path]:
    """Files of the modules and of all in the package that they import, at any depth, by module name."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file(name, root)
        if name in found or path is None:
            continue
        found[name] = path
        parts = name.split(".")
        waiting += [".".join(parts[:depth]) for depth in range(1, len(parts))]  # the packages' own __init__
        waiting += _imports(path)
    return found


def _imports(path: Path) -> list[str]:
    """Absolute imports from the package, as modules; names that are not modules are dropped by the caller."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == _PACKAGE]


def _file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
