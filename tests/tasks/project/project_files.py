"""What the tests of a project share."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML


def read_stages(project: Path) -> dict[str, dict[str, list[str]]]:
    """The stages of dvc.yaml."""
    return YAML(typ="safe").load(project / "dvc.yaml")["stages"]  # type: ignore[no-any-return]
