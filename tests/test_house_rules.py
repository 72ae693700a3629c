"""The limits of size and the rules of the tests, which no linter checks: see CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("flows", "tasks", "stylegan_core")
CHECKS = ("tests", "proofs", "benchmarks")

FILE_LINES = 350
CLASS_LINES = 250
FUNCTION_LINES = 60
FOLDER_MODULES = 20
FOLDER_LINES = 3000
"""Of a folder of the core, without its sub-folders."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((REPOSITORY / package).rglob("*.py"))


def checks() -> Iterator[Path]:
    for folder in CHECKS:
        yield from sorted((REPOSITORY / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def code_lines(node: Function, source: list[str]) -> int:
    """The number of lines of code of a function: docstrings, comments and empty lines do not count."""
    skipped: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
            skipped.update(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
    numbered = ((at, source[at - 1].strip()) for at in range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(bool(line) and not line.startswith("#") and at not in skipped for at, line in numbered)


def too_long(text: str, name: str) -> Iterator[str]:
    """Every limit that a module's text exceeds, by ``name`` or ``name:symbol``."""
    source = text.splitlines()
    if len(source) > FILE_LINES:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > CLASS_LINES:
            yield f"{name}:{node.name}"
        if isinstance(node, Function) and code_lines(node, source) > FUNCTION_LINES:
            yield f"{name}:{node.name}"


def full_folders() -> Iterator[str]:
    folders = {path.parent for path in modules()}
    for folder in sorted(folders):
        own = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        lines = sum(len(path.read_text().splitlines()) for path in own)
        core = folder.is_relative_to(REPOSITORY / "stylegan_core")
        if len(own) > FOLDER_MODULES or (core and lines > FOLDER_LINES):
            yield f"{name_of(folder)}/"


def test_sizes_stay_within_the_limits() -> None:
    found = {entry for path in modules() for entry in too_long(path.read_text(), name_of(path))} | set(full_folders())
    assert not found, f"split these: {sorted(found)}"


def test_files_of_tests_stay_within_the_limit() -> None:
    found = [name_of(path) for path in checks() if len(path.read_text().splitlines()) > FILE_LINES]
    assert not found, f"split these by concept: {found}"


def test_the_limits_are_measured_as_they_are_described() -> None:
    body = [f"    x{i} = {i}" for i in range(FUNCTION_LINES - 1)]
    short = ["def f():", '    """Two', '    lines."""', "", "    # why", *body]
    assert list(too_long("\n".join(short), "m.py")) == []
    assert list(too_long("\n".join([*short, "    y = 1"]), "m.py")) == ["m.py:f"]
    wide = ["class C:", *("    pass" for _ in range(CLASS_LINES - 1))]
    assert list(too_long("\n".join(wide), "m.py")) == []
    assert list(too_long("\n".join([*wide, "    pass"]), "m.py")) == ["m.py:C"]
    assert list(too_long("x = 1\n" * FILE_LINES, "m.py")) == []
    assert list(too_long("x = 1\n" * (FILE_LINES + 1), "m.py")) == ["m.py"]


def imported(text: str, package: Sequence[str]) -> Iterator[str]:
    """Names of the modules, absolute, that a module of ``package`` imports, and of what it imports from them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_test_module_imports_another() -> None:
    found = []
    for path in checks():
        for module in imported(path.read_text(), path.relative_to(REPOSITORY).parent.parts):
            root, *parts = module.split(".")
            if root in CHECKS and any(part.startswith("test_") for part in parts):
                found.append(f"{name_of(path)} imports {module}")
    assert not found, f"move what they share into a module that is no test: {found}"


def test_relative_imports_are_resolved() -> None:
    package = ("tests", "flows")
    assert list(imported("from .test_a import b", package)) == ["tests.flows.test_a", "tests.flows.test_a.b"]
    assert list(imported("from . import test_a", package)) == ["tests.flows", "tests.flows.test_a"]
    assert list(imported("from ..test_c import d", package)) == ["tests.test_c", "tests.test_c.d"]
    assert list(imported("from tests import test_e", package)) == ["tests", "tests.test_e"]


def test_each_package_says_what_it_is_for_and_where_to_begin() -> None:
    short = []
    for path in modules():
        if path.name == "__init__.py":
            purpose, _, begin = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")
            if not purpose.endswith(".") or not begin.strip().endswith("."):
                short.append(name_of(path))
    assert not short, f"add a docstring of two sentences, the purpose and where to begin, to: {short}"
