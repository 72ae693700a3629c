"""The name of a model folder's card, and the model's digest read from it without loading torch."""

from __future__ import annotations

import json
from pathlib import Path

MODEL_CARD = "model.json"
"""The card of a model folder; a folder is a model when this file is in it."""


def read_model_digest(folder: Path) -> str | None:
    """The digest that the card in ``folder`` states, unchecked; None if the folder holds no card.

    Raises:
        ValueError: the card is not JSON.
        KeyError: the card states no digest.
    """
    card = folder / MODEL_CARD
    return str(json.loads(card.read_text(encoding="utf-8"))["digest"]) if card.is_file() else None
