from __future__ import annotations

from pathlib import Path

import pytest

from stylegan_core.inference.conditioning.edit_vocabulary import (
    EditError,
    Vocabulary,
    load_vocabulary,
    parse_edit,
    plain,
)
from stylegan_core.settings import SettingsError

CELEBA = ("Smiling", "Eyeglasses", "No_Beard", "Young", "Male", "Blond_Hair")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smiling, no glasses", {"Smiling": 1.0, "Eyeglasses": -1.0}),
        ("Smiling", {"Smiling": 1.0}),
        ("not smiling", {"Smiling": -1.0}),
        ("serious", {"Smiling": -1.0}),
        ("not serious", {"Smiling": 1.0}),
        ("no beard", {"No_Beard": 1.0}),
        ("beard", {"No_Beard": -1.0}),
        ("without a beard", {"No_Beard": 1.0}),
        ("slightly older", {"Young": -0.5}),
        ("a little less", None),
        ("blonde and wearing spectacles", {"Blond_Hair": 1.0, "Eyeglasses": 1.0}),
        ("smiling=0.25; eyeglasses=-1", {"Smiling": 0.25, "Eyeglasses": -1.0}),
        ("serious=0.5", {"Smiling": -0.5}),
        ("with a slightly open mouth", None),
        ("moustache", None),
        ("smiling, happy", None),
        ("smiling=2", None),
        ("smiling=very", None),
        ("smiling=nan", None),
        ("", None),
        ("no", None),
    ],
)
def test_words_become_changes(text: str, expected: dict[str, float] | None) -> None:
    if expected is None:
        with pytest.raises(EditError):
            parse_edit(text, CELEBA, load_vocabulary(Path("no such file")))
    else:
        assert parse_edit(text, CELEBA, load_vocabulary(Path("no such file"))) == expected


def test_an_unknown_word_names_those_that_the_model_knows() -> None:
    with pytest.raises(EditError, match=r"unknown words 'purple'.*Smiling \(.*cheerful.*smiling\)") as error:
        parse_edit("very purple".removeprefix("very "), ("Smiling",), load_vocabulary(Path("no such file")))
    assert "glasses" not in str(error.value), "a word that this model has no attribute for"


def test_any_name_of_an_attribute_finds_it() -> None:
    words = load_vocabulary(Path("no such file"))
    for attribute in ("smile", "Smiling", "SMILES"):
        assert parse_edit("no grin", (attribute,), words) == {attribute: -1.0}
    assert parse_edit("clean shaven", ("beard",), words) == {"beard": -1.0}
    assert parse_edit("ring, no top bright", ("ring", "top_bright"), words) == {"ring": 1.0, "top_bright": -1.0}


def test_the_users_own_words_join_and_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vocabulary.yaml").write_text(
        "negations: [ohne]\namounts: {etwas: 0.25}\n"
        "attributes:\n  smiling:\n    words: [lächelnd]\n  eyeglasses:\n    words: [brille, shades]\n",
        encoding="utf-8",
    )
    edit = parse_edit("etwas lächelnd, ohne Brille", ("Smiling", "Eyeglasses", "Sunglasses"))
    assert edit == {"Smiling": 0.25, "Eyeglasses": -1.0}
    assert parse_edit("shades, happy", ("Smiling", "Eyeglasses", "Sunglasses")) == {"Eyeglasses": 1.0, "Smiling": 1.0}


def test_a_wrong_file_is_refused_by_name(tmp_path: Path) -> None:
    own = tmp_path / "vocabulary.yaml"
    own.write_text("atributes: {}\n")
    with pytest.raises(SettingsError, match=r"atributes.*known.*attributes"):
        load_vocabulary(own)
    own.write_text("amounts: {very: 3}\n")
    with pytest.raises(SettingsError, match="very"):
        load_vocabulary(own)
    own.write_text("a: [")
    with pytest.raises(EditError, match=r"vocabulary\.yaml"):
        load_vocabulary(own)


def test_no_shipped_word_means_two_things() -> None:
    """Or the order of the file would decide."""
    shipped = load_vocabulary(Path("no such file"))
    words = [plain(w) for name, e in shipped.attributes.items() for w in (name, *e.words, *e.opposites)]
    assert len(words) > 50
    assert sorted(words) == sorted(set(words))


def test_an_empty_vocabulary_knows_the_attributes_alone() -> None:
    assert parse_edit("a_b=-1", ("A b",), Vocabulary()) == {"A b": -1.0}
    with pytest.raises(EditError, match="unknown"):
        parse_edit("no a b", ("A b",), Vocabulary())
