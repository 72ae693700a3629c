"""Copies of the promoted models in the project, for work on demand: DVC empties models/ when a training starts.

.stylereel/promoted/TRAINING.json            names the promoted model
.stylereel/promoted/TRAINING/DIGEST/         its files, which never change: jobs name this folder
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stylegan_core.storage.atomic import fsync_folder, write_bytes_atomically
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.model_folder import read_model_digest
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared.gate import GateError
from tasks.shared.project_home import project_home

PROMOTED_FOLDER = Path(STATE_FOLDER) / "promoted"


class PromotedModel(BaseModel):
    """A file .stylereel/promoted/TRAINING.json.

    Attributes:
        digest: of the model.
        time: of the promotion, UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    time: str


def promoted_folder(root: Path) -> Path:
    """The folder of the copies; scheduled runs use that of their project, for which work on demand asks."""
    return project_home(root) / PROMOTED_FOLDER


def copy_folder(root: Path, training: str, digest: str) -> Path:
    """The folder of a copy, whether it exists or not."""
    return promoted_folder(root) / training / digest[:16]


def keep_copy(root: Path, training: str, model: Path, digest: str) -> Path:
    """Copies a model, all of it or nothing; an undamaged copy is used as it is.

    Args:
        root: the project.
        training: of the model.
        model: its folder.
        digest: that it must have.

    Raises:
        GateError: the folder holds another model, or a damaged one.
    """
    target = copy_folder(root, training, digest)
    if not _fault(target, digest):
        return target
    if fault := _fault(model, digest):
        raise GateError(f"the model {training} cannot be promoted: {fault}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as place:
        copied = Path(place) / "model"
        shutil.copytree(model, copied)  # links of DVC become files
        if fault := _fault(copied, digest):  # a training may have replaced files meanwhile
            raise GateError(f"the model {training} cannot be promoted: {fault}")
        shutil.rmtree(target, ignore_errors=True)
        copied.rename(target)
    fsync_folder(target.parent)
    return target


def point_to(root: Path, training: str, promoted: PromotedModel, *, kept: tuple[str, ...] = ()) -> None:
    """Names the promoted model, and removes other copies.

    Args:
        root: the project.
        training: of the model.
        promoted: whose copy exists.
        kept: digests of further copies, for a rollback.
    """
    write_bytes_atomically(promoted_folder(root) / f"{training}.json", promoted.model_dump_json().encode())
    wanted = {digest[:16] for digest in (promoted.digest, *kept)}
    for folder in (promoted_folder(root) / training).iterdir():
        if folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)


def read_promoted(root: Path, training: str) -> PromotedModel | None:
    """The promoted model of a training in this checkout; None if there is none, or its copy is missing."""
    path = promoted_folder(root) / f"{training}.json"
    try:
        promoted = PromotedModel.model_validate_json(path.read_bytes())
        found = read_model_digest(copy_folder(root, training, promoted.digest))
    except (OSError, ValueError, KeyError, ValidationError):
        return None
    return promoted if found == promoted.digest else None


def promoted_trainings(root: Path) -> dict[str, PromotedModel]:
    """The promoted models of this checkout by training, the one that was promoted last first."""
    names = sorted(path.stem for path in (promoted_folder(root)).glob("*.json"))
    found = {name: promoted for name in names if (promoted := read_promoted(root, name)) is not None}
    return dict(sorted(found.items(), key=lambda item: item[1].time, reverse=True))


def _fault(folder: Path, digest: str) -> str:
    """What is wrong with a model folder; empty if its files are those of ``digest``."""
    from stylegan_core.recipes.model import ModelError, read_card

    try:
        card = read_card(folder)
        if card.digest != digest:
            return f"{folder} holds the model {card.digest[:16]}, not {digest[:16]}"
        for entry in {*card.weights.values(), card.networks}:
            if sha256_of(folder / entry.file) != entry.sha256:
                return f"{folder / entry.file} is damaged: its checksum is not the one of its card"
    except ModelError as error:
        return str(error)
    except OSError as error:
        return f"{folder} is incomplete: {error}"
    return ""
