"""Keeps dvc.yaml and the code digests of a project up to date with params.yaml and the installed tool."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stylegan_core.config import Params, load_params
from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.project.code import code_digest
from tasks.project.inputs import input_paths, stylize_paths
from tasks.shared.errors import UsageError
from tasks.shared.versioning import STAGES

CODE_FOLDER = ".stylereel-code"
"""Folder of an ``init`` project with a code digest per stage: there the tool is an installed package."""

_BLOCKS = ("inputs", "recipes", "stylize.input", "artifacts")
"""Parts of dvc.yaml that follow params.yaml, each between two comments."""


def sync(root: Path) -> list[str]:
    """Updates the marked parts of dvc.yaml and, in an ``init`` project, the digests of the tool's code.

    Returns:
        The files that changed, relative to ``root``.

    Raises:
        UsageError: a training starts from a model in models/, which DVC empties first.
    """
    if not (root / "dvc.yaml").is_file():
        return []
    text = (root / "dvc.yaml").read_text(encoding="utf-8")
    # In the tool's own clone, stages depend on the code itself.
    stages = STAGES if f"{CODE_FOLDER}/" in text else ()
    wanted = {f"{CODE_FOLDER}/{stage}.txt": f"{code_digest(stage)}\n".encode() for stage in stages}
    if any(_block(name).search(text) for name in _BLOCKS):
        params = load_params(root / "params.yaml")
        _refuse_emptied_models(params, root)
        wanted["dvc.yaml"] = _with_blocks(text, _lines(params, root)).encode()
    changed = [
        name for name, data in wanted.items() if not (root / name).is_file() or (root / name).read_bytes() != data
    ]
    for name in changed:
        write_bytes_atomically(root / name, wanted[name])
    return changed


def is_project_apart(root: Path) -> bool:
    """Whether ``root`` is an ``init`` project, which uses an installed tool."""
    return (root / CODE_FOLDER).is_dir()


def stale_code(root: Path) -> list[str]:
    """Stages whose code changed since the last ``sync``; none in the tool's own clone."""
    if not is_project_apart(root):
        return []
    written = {stage: root / CODE_FOLDER / f"{stage}.txt" for stage in STAGES}
    return [s for s, path in written.items() if not path.is_file() or path.read_text().strip() != code_digest(s)]


def _block(name: str) -> re.Pattern[str]:
    """Finds a marked part: its indent, its first line and its last."""
    mark = re.escape(name)
    return re.compile(rf"^( *)(# {mark}: kept by .*\n)(?:.*\n)*?( *# end of {mark})$", re.MULTILINE)


def _with_blocks(text: str, wanted: dict[str, list[str]]) -> str:
    """dvc.yaml with new lines between the marks; a part without marks is not changed."""
    for name, own in wanted.items():
        if found := _block(name).search(text):
            lines = "".join(f"{found[1]}{line}\n" for line in own)
            text = f"{text[: found.start()]}{found[1]}{found[2]}{lines}{found[3]}{text[found.end() :]}"
    return text


def _refuse_emptied_models(params: Params, root: Path) -> None:
    """DVC empties models/ before the stage train runs, so a check in the stage would come too late."""
    for named in filter(None, (training.settings.common.init_from for training in params.trainings())):
        folder = Path(os.path.normpath(root.absolute() / Path(named).expanduser()))
        if folder.is_relative_to(root.absolute() / "models"):
            raise UsageError(
                f"train.common.init_from is {named}, but DVC empties models/ before training: name the model by its "
                f"digest{_digest_hint(folder)}"
            )


def _digest_hint(model: Path) -> str:
    from stylegan_core.recipes.model import ModelError, read_card

    try:
        return f", {read_card(model).digest[:12]}"
    except ModelError:
        return ", which `stylereel whence` prints"


def _lines(params: Params, root: Path) -> dict[str, list[str]]:
    """Lines of each marked part."""
    trainings = params.trainings()
    used = {training.settings.recipe for training in trainings} - {params.train().recipe}
    listed = {
        "inputs": input_paths(params, root),
        # A missing section has its defaults; dvc refuses params that are not in the file.
        "recipes": sorted(f"train.{recipe}" for recipe in used if recipe in params.train_section),
        "stylize.input": stylize_paths(params, root),
    }
    lines = {name: [f'- "{entry}"' for entry in entries] for name, entries in listed.items()}
    lines["artifacts"] = [f'"{one.name}": {{path: "models/{one.name}", type: model}}' for one in trainings]
    return lines
