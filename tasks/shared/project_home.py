"""The project that a checkout of scheduled runs belongs to: MLflow's store and the links of runs are there."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.storage.state_folder import STATE_FOLDER

HOME_FILE = Path(STATE_FOLDER) / "project"
"""In such a checkout: the path of its project."""


def project_home(root: Path) -> Path:
    """The project of a checkout of scheduled runs; any other checkout is its own.

    Args:
        root: the checkout.
    """
    try:
        return Path((root / HOME_FILE).read_text(encoding="utf-8").strip())
    except OSError:
        return root
