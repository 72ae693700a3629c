"""Store of the models that were trained on this machine, by digest, for ``train.common.init_from``.

DVC empties the stage's outputs before it runs, so the model to start from is no longer there.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from stylegan_core.recipes.model import ModelError, read_card
from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.model_folder import MODEL_CARD


def keep_model(folder: Path) -> Path:
    """Copies a model folder into the user's cache; returns the copy."""
    digest = read_card(folder).digest
    place = cache_folder("models") / digest
    if not (place / MODEL_CARD).is_file():
        part = cache_folder("models") / f".{digest}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder, part)
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    return place


def find_model(name: str) -> Path:
    """The model folder that ``init_from`` names.

    Args:
        name: a folder, or a digest or its first eight characters or more.
    Raises:
        ModelError: there is none, or more than one; the message lists the newest models.
    """
    if (Path(name).expanduser() / MODEL_CARD).is_file():
        return Path(name).expanduser()
    store = cache_folder("models")
    if re.fullmatch(r"[0-9a-f]{8,64}", name):
        found = sorted(p for p in store.glob(f"{name}*") if (p / MODEL_CARD).is_file())
        if len(found) == 1:
            return found[0]
        if found:
            raise ModelError(f"train.common.init_from: several digests begin with {name}: write more digits")
    known = sorted((p for p in store.iterdir() if (p / MODEL_CARD).is_file()), key=lambda p: -p.stat().st_mtime)
    listed = ", ".join(f"{p.name[:12]} ({read_card(p).recipe})" for p in known[:5]) or "none"
    raise ModelError(
        f"train.common.init_from: {name} is neither a model folder nor the digest of a model trained here. The stage's "
        f"own output models/ is emptied before it runs, so name a model of it by its digest. The newest: {listed}"
    )
