"""Settings as people write them: what YAML makes of a slip is an error that names the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stylegan_core.config import load_params, parse_params
from stylegan_core.settings import SettingsError


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"prepare": [1]}, "prepare must"),
        ({"prepare": {"sample": [1]}}, "prepare.sample"),
        ({"prepare": {1: 2}}, "prepare.1"),
        ({"shots": ["a"]}, r"shots\[0\] must"),
        ({"shots": {"a": 1}}, "shots must be a list"),
        ({"shots": 3}, "shots must be a list"),
        ({"train": "x"}, "train must"),
        ({"train": {"recipe": "keyframe", "common": [1]}}, "train.common must"),
        ({"train": {"recipe": "keyframe", "keyframe": 7}}, "train.keyframe must"),
        ({"train": {"recipe": "keyframe", "cut": [1]}}, "train.cut must"),
        ({"train": {"recipe": ["cut"]}}, "train.recipe"),
        ({"train": {"recipe": "cut", 1: 2, "x": 3}}, r"train\.1"),
        ({"evaluate": "all"}, "evaluate must"),
        ({"stylize": [{"strength": 1}]}, "stylize must"),
        ({1: 2, "x": 3}, r"params\.yaml\.1"),
        (["prepare"], "params.yaml must"),
    ],
)
def test_what_is_no_mapping_is_named(document: Any, where: str) -> None:
    with pytest.raises(SettingsError, match=where):
        parse_params(document)


def test_a_file_that_is_no_mapping_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("- prepare\n")
    with pytest.raises(SettingsError, match=r"params\.yaml must"):
        load_params(path)


def test_an_empty_section_is_its_defaults() -> None:
    params = parse_params({"prepare": None, "shots": None, "train": {"recipe": "cut", "cut": None, "common": None}})
    assert params.prepare.source == "sample"
    assert params.train().recipe == "cut"


def test_a_shots_override_that_is_no_mapping_is_named() -> None:
    shot = {"name": "sea", "plates": "p", "painted": "q", "train": {"common": [1]}}
    with pytest.raises(SettingsError, match=r"train\.common must"):
        parse_params({"prepare": {"source": "shots"}, "shots": [shot]})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"prepare": {"sample": {"length": 9}}}, r"prepare\.sample\.length; known there are: frames, height_px, "),
        ({"stylize": {"regions": [{"mask": "m"}]}}, r"stylize\.regions\.0\.mask; known there are: direction, edit, "),
        ({"evaluate": {"each": 2}}, r"evaluate\.each; known there are: baselines, every, "),
    ],
)
def test_an_unknown_setting_is_told_beside_its_known_neighbours(document: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown setting {message}"):
        parse_params(document)


def test_settings_that_do_not_go_together_are_named() -> None:
    with pytest.raises(SettingsError, match=r"^train\.keyframe: lr_decay_end_step"):
        parse_params({"train": {"recipe": "keyframe", "keyframe": {"lr_decay_start_step": 9000}}})


def test_outside_regions_has_its_former_name_too() -> None:
    for key in ("elsewhere", "outside_regions"):
        assert parse_params({"stylize": {key: "style"}}).stylize.outside_regions == "style"
    with pytest.raises(SettingsError, match=r"stylize\.elsewhere: .*'source' or 'style'"):
        parse_params({"stylize": {"elsewhere": "model"}})
