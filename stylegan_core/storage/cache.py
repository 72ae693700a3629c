"""The user's cache folder, for data that must survive a kill and an emptied DVC output."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder(*parts: str) -> Path:
    """``$STYLEREEL_CACHE_DIR`` or the platform's user cache, with ``parts`` appended; the folder is created."""
    root = os.environ.get("STYLEREEL_CACHE_DIR")
    folder = Path(root) if root else Path(platformdirs.user_cache_path("stylereel"))
    folder = folder.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
