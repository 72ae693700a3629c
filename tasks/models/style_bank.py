"""The task style-bank: encodes a folder of reference pictures once for a model."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.inference.conditioning.style_bank import (
    StyleBank,
    StyleBankError,
    build_style_bank,
    save_style_bank,
)
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.device import choose_device
from stylegan_core.recipes.model import ModelError, load_model
from tasks.shared.errors import UsageError
from tasks.shared.locate_model import locate_model


def make_style_bank(given: str, models: Path, pictures: Path, output: Path) -> StyleBank:
    """Builds and saves a style bank.

    Args:
        given: a model folder, the name of one in ``models``, or a models:/ URI.
        models: the project's folder of models.
        pictures: folder of the references.
        output: folder of the bank.

    Raises:
        UsageError: there is no such model or folder, a picture cannot be read, or the recipe has no style codes.
    """
    try:
        bank = build_style_bank(load_model(locate_model(given, models)), pictures, device=choose_device())
    except (PlanError, ModelError, StyleBankError, ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(str(error)) from error
    save_style_bank(bank, output)
    return bank
