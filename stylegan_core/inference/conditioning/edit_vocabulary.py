"""Edit vocabulary: words for attribute changes, as "smiling, no glasses" for {"Smiling": 1.0, "Eyeglasses": -1.0}.

The words are in vocabulary.yaml next to this file; a vocabulary.yaml in the project's folder adds to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stylegan_core.settings import Settings, validated

SHIPPED = Path(__file__).with_name("vocabulary.yaml")
OWN = Path("vocabulary.yaml")
"""The project's own words, in its folder."""

Amount = Annotated[float, Field(gt=0.0, le=1.0)]


class EditError(ValueError):
    """An edit cannot be parsed; the message lists the known words."""


class Entry(Settings):
    """Synonyms of an attribute, and names of its absence."""

    words: tuple[str, ...] = ()
    opposites: tuple[str, ...] = ()


class Vocabulary(Settings):
    """Meanings of words, for any attributes.

    Attributes:
        negations: words that invert what follows.
        amounts: words that scale what follows, with factors in (0, 1].
        fillers: words that are ignored before a word.
        attributes: names of an attribute and of its absence, by one of its names.
    """

    negations: tuple[str, ...] = ()
    amounts: dict[str, Amount] = Field({})
    fillers: tuple[str, ...] = ()
    attributes: dict[str, Entry] = Field({})

    def joined(self, other: Vocabulary) -> Vocabulary:
        """Both vocabularies; ``other`` overrides words that both have."""
        theirs = {plain(word) for name, entry in other.attributes.items() for word in (name, *_names(entry))}
        mine = {name: _without(entry, theirs) for name, entry in self.attributes.items()}
        for name, entry in other.attributes.items():
            before = mine.pop(plain(name), Entry())
            mine[plain(name)] = Entry(
                words=(*before.words, *entry.words), opposites=(*before.opposites, *entry.opposites)
            )
        return Vocabulary(
            negations=(*self.negations, *other.negations),
            amounts=self.amounts | other.amounts,
            fillers=(*self.fillers, *other.fillers),
            attributes=mine,
        )

    def meanings(self, attributes: Sequence[str]) -> dict[str, tuple[str, float]]:
        """The attribute and the sign of each word: 1 for having the attribute, -1 for not having it."""
        found: dict[str, tuple[str, float]] = {}
        for name, entry in self.attributes.items():
            words = [plain(word) for word in (name, *entry.words)]
            opposites = [plain(word) for word in entry.opposites]
            for attribute in attributes:
                if plain(attribute) in words + opposites:
                    sign = 1.0 if plain(attribute) in words else -1.0
                    found |= {word: (attribute, sign) for word in words}
                    found |= {word: (attribute, -sign) for word in opposites}
        return found | {plain(attribute): (attribute, 1.0) for attribute in attributes}


def load_vocabulary(own: Path = OWN) -> Vocabulary:
    """The shipped words, and the project's own if there is such a file.

    Raises:
        SettingsError: a file has another shape; the message names the wrong key.
        EditError: the file is not YAML.
    """
    shipped = _read(SHIPPED)
    return shipped.joined(_read(own)) if own.is_file() else shipped


def parse_edit(text: str, attributes: Sequence[str], vocabulary: Vocabulary | None = None) -> dict[str, float]:
    """The change of each attribute that ``text`` names.

    Args:
        text: edits between commas, each in words as in "smiling, no glasses, slightly older", or a number as in
            "smiling=0.5".
        attributes: the model's.
        vocabulary: meanings of words; default: ``load_vocabulary()``.
    Returns:
        Values in [-1, 1] by attribute, spelled as in ``attributes``: 1 adds it, -1 removes it.
    Raises:
        EditError: a word is unknown, a number is out of range, or an attribute is named twice.
    """
    known = load_vocabulary() if vocabulary is None else vocabulary
    meanings = known.meanings(attributes)
    changes: dict[str, float] = {}
    for edit in (part.strip() for part in re.split(r"[,;&]|\band\b|\bbut\b", text, flags=re.IGNORECASE)):
        if not edit:
            continue
        attribute, change = _number(edit, meanings) if "=" in edit else _words(edit, meanings, known)
        if attribute in changes:
            raise EditError(f"{text!r} names {attribute} twice")
        changes[attribute] = change
    if not changes:
        raise EditError(f"the edit is empty; {_list(meanings)}")
    return changes


def plain(word: str) -> str:
    """The normal form of a word: lower case, spaces for _ and -."""
    return " ".join(re.sub(r"[_\-]", " ", word).lower().split())


def _number(edit: str, meanings: Mapping[str, tuple[str, float]]) -> tuple[str, float]:
    name, _, number = edit.partition("=")
    try:
        value = float(number)
    except ValueError:
        raise EditError(f"{edit!r}: {number.strip()!r} is not a number") from None
    if not -1.0 <= value <= 1.0:
        raise EditError(f"{edit!r}: a change must be -1 to 1; raise the strength to exaggerate")
    if plain(name) not in meanings:
        raise EditError(f"unknown attribute {name.strip()!r}; {_list(meanings)}")
    attribute, sign = meanings[plain(name)]
    return attribute, sign * value


def _words(edit: str, meanings: Mapping[str, tuple[str, float]], known: Vocabulary) -> tuple[str, float]:
    rest, amount = plain(edit), 1.0
    factors = dict.fromkeys(map(plain, known.fillers), 1.0)
    factors |= {plain(word): value for word, value in known.amounts.items()}
    factors |= dict.fromkeys(map(plain, known.negations), -1.0)
    # Whole names first: an attribute may itself be called "no beard".
    while rest not in meanings:
        first = next((word for word in sorted(factors, key=len, reverse=True) if rest.startswith(word + " ")), None)
        if first is None:
            raise EditError(f"unknown words {rest!r} in {edit!r}; {_list(meanings)}")
        rest, amount = rest[len(first) + 1 :], amount * factors[first]
    attribute, sign = meanings[rest]
    return attribute, sign * amount


def _list(meanings: Mapping[str, tuple[str, float]]) -> str:
    by_attribute: dict[str, list[str]] = {}
    for word, (attribute, _) in meanings.items():
        by_attribute.setdefault(attribute, []).append(word)
    return "this model knows " + "; ".join(
        f"{attribute} ({', '.join(sorted(words))})" for attribute, words in sorted(by_attribute.items())
    )


def _names(entry: Entry) -> tuple[str, ...]:
    return (*entry.words, *entry.opposites)


def _without(entry: Entry, taken: set[str]) -> Entry:
    return Entry(
        words=tuple(word for word in entry.words if plain(word) not in taken),
        opposites=tuple(word for word in entry.opposites if plain(word) not in taken),
    )


def _read(path: Path) -> Vocabulary:
    from ruamel.yaml import YAML

    try:
        document = YAML(typ="safe").load(path)
    except Exception as error:
        raise EditError(f"{path} is not valid YAML: {error}") from error
    return validated(Vocabulary, document, str(path))
