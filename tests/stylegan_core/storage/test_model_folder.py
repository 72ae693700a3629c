"""The digest of a model folder, and that the card's name is written down once."""

from pathlib import Path

import pytest

from stylegan_core.storage.model_folder import MODEL_CARD, read_model_digest

REPOSITORY = Path(__file__).parents[3]


def test_the_digest_is_the_cards(tmp_path):
    assert read_model_digest(tmp_path) is None
    (tmp_path / MODEL_CARD).write_text('{"digest": "ab12", "recipe": "keyframe"}')
    assert read_model_digest(tmp_path) == "ab12"


def test_a_damaged_card_is_an_error(tmp_path):
    (tmp_path / MODEL_CARD).write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        read_model_digest(tmp_path)


def test_the_name_is_written_down_once():
    sources = [path for top in ("stylegan_core", "tasks", "flows") for path in (REPOSITORY / top).rglob("*.py")]
    assert [path.name for path in sources if f'"{MODEL_CARD}"' in path.read_text()] == ["model_folder.py"]
