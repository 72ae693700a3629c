"""Finds a model folder: by path, by name, the last one trained, or fetched from the MLflow registry."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.inference.planning.find_model import find_model
from stylegan_core.storage.cache import cache_folder


def locate_model(given: str | Path | None, models: Path) -> Path:
    """The folder of the model that ``given`` names; a model of the registry is downloaded to the user's cache."""
    if str(given).startswith("models:/"):
        from tasks.shared.registry import fetch_model

        return fetch_model(str(given), cache_folder("registry"))
    return find_model(given, models)
