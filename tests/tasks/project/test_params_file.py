"""params.yaml names and explains every setting, and so does the one that `stylereel init` writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stylegan_core.config import Params, TrainSettings, load_params, parse_params
from stylegan_core.recipes import config_class, list_recipes
from stylegan_core.settings import SettingsError
from tasks.project.params_comments import SHOTS_EXAMPLE
from tasks.project.params_file import (
    PRESETS,
    example_params,
    preset_values,
    recipe_settings,
    render_params,
    renew,
    setting_values,
    with_preset,
    write_params,
)

REPOSITORY = Path(__file__).parents[3]
ROOT_TEXT = (REPOSITORY / "params.yaml").read_text()


def _parse(text: str) -> dict[str, Any]:
    return YAML(typ="safe").load(text)  # type: ignore[no-any-return]


def _keys(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@pytest.mark.parametrize("text", [ROOT_TEXT, render_params(), render_params(shots=SHOTS_EXAMPLE)])
def test_every_setting_is_there_with_a_comment(text: str) -> None:
    settings = {k for k in _keys(_parse(render_params())) if not k.startswith("shots")}
    assert {k for k in _keys(_parse(text)) if not k.startswith("shots")} == settings
    silent = [
        line
        for line in text.splitlines()
        if ":" in line and not line.lstrip().startswith(("#", "-")) and not line.endswith(":") and "#" not in line
    ]
    assert [line for line in silent if line != "shots: []"] == []


def test_the_repository_runs_the_sample() -> None:
    params = load_params(REPOSITORY / "params.yaml")
    assert params.prepare.source == "sample"
    assert [t.name for t in params.trainings()] == ["all"]


def test_defaults_come_back() -> None:
    assert parse_params(_parse(render_params())) == parse_params({"train": {"recipe": "keyframe"}}).model_copy(
        update={"train_section": _parse(render_params())["train"]}
    )


def test_the_example_is_a_project() -> None:
    params: Params = parse_params(_parse(render_params({"prepare.source": "shots"}, shots=SHOTS_EXAMPLE)))
    assert [t.name for t in params.trainings()] == ["my_shot"]


def test_the_lines_that_are_comments_in_the_example_are_settings_too() -> None:
    live = re.sub(r"(?m)^    # ", "    ", SHOTS_EXAMPLE)
    shot = parse_params(_parse(render_params({"prepare.source": "shots"}, shots=live))).shots[0]
    assert shot.frames == "1001-1100x2"
    assert shot.pairs[0].content == Path("pairs/before")
    assert shot.train["keyframe"] == {"budget_steps": 3000}


@pytest.mark.parametrize("recipe", list_recipes())
def test_small_numbers_stay_numbers(recipe: str) -> None:
    text = recipe_settings(recipe, {f"train.{recipe}.generator_lr": 1e-05})
    section = _parse("train:\n" + text)["train"]
    assert TrainSettings.parse({"recipe": recipe, **section}).config == config_class(recipe)(generator_lr=1e-05)


def test_renewing_keeps_values_and_shots_and_adds_what_is_new() -> None:
    text = render_params({"prepare.source": "shots", "train.keyframe.crop_px": 96}, shots=SHOTS_EXAMPLE)
    assert renew(text) == text
    older = "\n".join(line for line in text.splitlines() if "crop_px: 96" in line or "l1_weight" not in line)
    assert renew(older) == text


def test_the_repository_file_is_what_would_be_rendered() -> None:
    assert renew(ROOT_TEXT) == ROOT_TEXT, "run `python -m tasks.project.params_file`"


def test_the_repository_file_has_the_defaults_and_presets_of_the_recipes() -> None:
    values = {path: value for recipe in list_recipes() for path, value in preset_values(recipe).items()}
    shipped, expected = setting_values(ROOT_TEXT), setting_values(render_params(values))
    assert {path: (value, expected.get(path)) for path, value in shipped.items() if value != expected.get(path)} == {}
    assert _parse(ROOT_TEXT) == _parse(render_params(values))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("recipe", list_recipes())
def test_presets_are_settings_that_work(recipe: str, preset: str) -> None:
    values = preset_values(recipe, preset)  # type: ignore[arg-type]
    section = _parse("train:\n" + recipe_settings(recipe, values))["train"]
    config = TrainSettings.parse({"recipe": recipe, **section}).config
    assert {f"train.{recipe}.{name}": getattr(config, name.split(".")[-1]) for name in section[recipe]}.items() >= {
        path: tuple(value) if isinstance(value, list) else value for path, value in values.items()
    }.items()


def test_a_recipe_that_is_new_to_a_file_comes_with_its_preset() -> None:
    without_cut = re.sub(r"(?ms)^  cut:\n.*?(?=^  \S)", "", render_params({"train.keyframe.crop_px": 96}))
    assert "\n  cut:" not in without_cut
    train = _parse(renew(without_cut))["train"]
    assert train["cut"]["fast"] is True
    assert train["keyframe"]["crop_px"] == 96
    kept = _parse(renew(render_params()))["train"]["cut"]
    assert kept["fast"] is False, "values that are there stay"


def test_a_preset_replaces_its_own_section_and_no_other() -> None:
    text = render_params(
        {"prepare.source": "shots", "train.keyframe.crop_px": 96, "train.cut.crop_px": 64}, shots=SHOTS_EXAMPLE
    )
    made = with_preset(text, "cut", "two_cores")
    before, after = _parse(text), _parse(made)
    assert after["train"]["recipe"] == "cut"
    assert before["train"]["cut"] != after["train"]["cut"]
    assert after["train"]["cut"] == _parse("train:\n" + recipe_settings("cut", preset_values("cut")))["train"]["cut"]
    for section in ("prepare", "shots", "evaluate", "stylize"):
        assert before[section] == after[section]
    assert after["train"]["keyframe"] == before["train"]["keyframe"]
    assert with_preset(made, "cut", "two_cores") == made == renew(made)


def test_a_setting_that_is_a_mapping_survives() -> None:
    text = renew(render_params().replace("  edit: null", '  edit: {"smiling": 0.5}'))
    assert _parse(text)["stylize"]["edit"] == {"smiling": 0.5}


def test_a_new_project_is_set_for_two_cores() -> None:
    train = _parse(example_params())["train"]
    assert train["cut"]["fast"] is True
    assert renew(example_params()) == example_params()
    assert [shot["name"] for shot in _parse(example_params())["shots"]] == ["my_shot"]


def test_settings_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    place = tmp_path / "params.yaml"
    place.write_text("as it was")
    with pytest.raises(SettingsError):
        write_params(place, render_params({"train.keyframe.crop_px": 17, "train.keyframe.downsamplings": 4}))
    assert place.read_text() == "as it was"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [\n", "not valid YAML"),
        ("- train\n", "must hold sections"),
        ("train:\n  swap: {chanels: 3}\n", r"unknown setting train\.swap\.chanels"),
        ("stilize:\n  strength: 1\n", "unknown setting stilize"),
    ],
)
def test_a_preset_is_not_put_into_what_it_would_spoil(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        with_preset(text, "cut", "two_cores")


def test_a_preset_makes_a_whole_file_of_an_empty_one_and_mends_its_own_section() -> None:
    whole = with_preset("", "cut", "two_cores")
    assert whole == with_preset("train:\n  cut: {chanels: 3}\n", "cut", "two_cores")
    assert parse_params(_parse(whole)).train().recipe == "cut"
