"""Folders and files that prepare reads."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.config import parse_params
from tasks.project.inputs import input_paths


def test_inputs_of_folders(tmp_path: Path) -> None:
    params = parse_params({"prepare": {"source": "folders", "content": "photos", "style": "/mnt/monet"}})
    assert input_paths(params, tmp_path) == ["/mnt/monet", "photos"]
