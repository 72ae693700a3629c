"""The cache of decoded pictures: which code decides that an entry is out of date."""

import ast
from pathlib import Path

import stylegan_core
from stylegan_core.data.decode import decoding_code

ROOT = Path(stylegan_core.__file__).parent


def imported(module: Path) -> set[Path]:
    """The files of this package that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stylegan_core"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            paths = [ROOT.parent / Path(*name.split(".")) for name in names]
            found |= {path.with_suffix(".py") for path in paths if path.with_suffix(".py").is_file()}
    return found


def test_the_digest_covers_every_module_that_decoding_imports_but_storage():
    closure, queue = set(), [ROOT / "data" / "decode.py"]
    while queue:
        module = queue.pop()
        if module not in closure:
            closure.add(module)
            queue += imported(module)
    decoding = {module for module in closure if module.relative_to(ROOT).parts[0] != "storage"}
    assert ROOT / "frames" / "formats" / "png_jpeg_webp.py" in decoding
    missing = sorted(module.relative_to(ROOT).as_posix() for module in decoding - set(decoding_code()))
    assert missing == []


def test_the_digest_covers_all_of_frames():
    covered = set(decoding_code())
    assert {path for path in (ROOT / "frames").rglob("*.py") if path not in covered} == set()
    assert {ROOT / "data" / name for name in ("decode.py", "resize.py", "splits.py", "store.py")} <= covered
