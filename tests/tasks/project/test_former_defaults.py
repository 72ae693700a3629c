"""Values of an older params.yaml that are outdated defaults are named; other values are not."""

from __future__ import annotations

import pytest

from stylegan_core.settings import SettingsError
from tasks.project.former_defaults import FORMER_DEFAULTS, OutdatedDefault, outdated_defaults
from tasks.project.params_file import example_params, setting_values


def test_a_new_project_has_none() -> None:
    assert outdated_defaults(example_params()) == []


def test_a_former_default_is_named_with_the_new_one() -> None:
    old = "train:\n  recipe: keyframe\n  keyframe:\n    l1_weight: 20\n    mixing_taps: 3\n"
    (found,) = outdated_defaults(old)
    new = setting_values(example_params())["train.keyframe.l1_weight"]
    assert found == OutdatedDefault("train.keyframe.l1_weight", 20, "0.1.0", new)
    assert found.describe() == "train.keyframe.l1_weight: 20 was the default until 0.1.0, now 5.0"


def test_a_value_of_the_users_own_is_not_named() -> None:
    assert outdated_defaults("train:\n  keyframe:\n    l1_weight: 6.5\n") == []


@pytest.mark.parametrize("version", FORMER_DEFAULTS)
def test_every_former_default_is_of_a_setting_that_exists(version: str) -> None:
    settings = setting_values(example_params())
    assert not [path for path in FORMER_DEFAULTS[version] if path not in settings]


def test_a_file_that_is_no_settings_is_refused() -> None:
    with pytest.raises(SettingsError, match="must hold sections"):
        outdated_defaults("- a list\n")
