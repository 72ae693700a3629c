"""Style bank: codes of a folder of references, computed once, to condition a model by names and weights.

bank.json            names, the model's digest and the codes' checksum; written last
codes.safetensors    the codes, in the names' order
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.sequences.listing import list_pictures
from stylegan_core.inference.conditioning.reference_pictures import reference_signed
from stylegan_core.recipes.base import Conditions
from stylegan_core.storage.atomic import write_bytes_atomically

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

BANK_CARD = "bank.json"
CODES_NAME = "codes.safetensors"


class StyleBankError(ValueError):
    """A bank cannot be built, is damaged, belongs to another model or does not contain a name."""


class _Card(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    model_digest: str
    codes_sha256: str


@dataclass(frozen=True)
class StyleBank:
    """Codes of references for one model.

    Attributes:
        names: of the references, each once: their paths in the folder, with forward slashes.
        codes: (K, D), in the names' order, fp32.
        model_digest: of the model that made the codes.
    """

    names: tuple[str, ...]
    codes: Tensor
    model_digest: str

    def conditions(self, weights: Mapping[str, float], *, strength: float = 1.0, **others: Any) -> Conditions:
        """Conditions for a mixture of references of the bank.

        Args:
            weights: by name, 0 or more; normalized to a sum of 1.
            strength: see ``Conditions``.
            others: further fields of ``Conditions``.
        Raises:
            StyleBankError: a name is unknown, or the weights are negative or all 0.
        """
        for name, weight in weights.items():
            if name not in self.names:
                raise StyleBankError(f"the style bank has no {name!r}; it has: {', '.join(self.names)}")
            if not weight >= 0:
                raise StyleBankError(f"the weight of {name} is {weight:g}, but must be 0 or more")
        chosen = {name: weight for name, weight in weights.items() if weight > 0}
        total = sum(chosen.values())
        if not chosen:
            raise StyleBankError("all weights are 0: at least one must be above 0")
        codes = self.codes[[self.names.index(name) for name in chosen]]
        mix = torch.tensor([weight / total for weight in chosen.values()], device=codes.device)
        return Conditions(style_codes=codes, style_weights=mix, strength=strength, **others)


def build_style_bank(model: Model, folder: Path, *, device: str = "cpu") -> StyleBank:
    """Codes of all pictures in ``folder`` and its subfolders, each read whole, whatever its shape.

    Args:
        model: of a recipe that makes codes of references; it is moved to ``device``.
        folder: with at least one picture; see ``reference_signed`` for their sizes.
        device: torch's name of it.
    Raises:
        StyleBankError: there are no pictures, one cannot be read, or the recipe makes no codes.
    """
    recipe = model.recipe.to(device).eval()
    try:
        frames = list_pictures(folder)
    except (OSError, ValueError) as error:
        raise StyleBankError(str(error)) from error
    names, codes = [], []
    for frame in frames:
        try:
            unit = to_working(read_picture(frame.path), working_space=model.card.working_space)
        except (OSError, UnreadablePictureError) as error:
            raise StyleBankError(f"the reference {frame.path} cannot be read: {error}") from error
        with torch.inference_mode():
            code = recipe.prepare_conditions(Conditions(styles=reference_signed(unit).to(device))).style_codes
        if code is None:
            raise StyleBankError(f"{model.folder} is a {model.card.recipe} model, which makes no codes of references")
        names.append(frame.relative.as_posix())
        codes.append(code.float().cpu())
    return StyleBank(tuple(names), torch.cat(codes), model.card.digest)


def save_style_bank(bank: StyleBank, folder: Path) -> None:
    """Writes the two files; equal banks give equal bytes.

    Args:
        bank: to write.
        folder: is made if it is missing.
    """
    content = safetensors.torch.save({"codes": bank.codes.detach().cpu().contiguous()})
    sha256 = hashlib.sha256(content).hexdigest()
    card = _Card(names=bank.names, model_digest=bank.model_digest, codes_sha256=sha256)
    write_bytes_atomically(folder / CODES_NAME, content)
    write_bytes_atomically(folder / BANK_CARD, (card.model_dump_json(indent=2) + "\n").encode())


def load_style_bank(folder: Path, model: Model) -> StyleBank:
    """Reads a bank for ``model``; runs no code from the files.

    Args:
        folder: as ``save_style_bank`` wrote it.
        model: that it is used with.
    Raises:
        StyleBankError: the folder contains no bank, it is damaged, or it is another model's.
    """
    try:
        card = _Card.model_validate_json((folder / BANK_CARD).read_bytes())
        content = (folder / CODES_NAME).read_bytes()
    except OSError as error:
        raise StyleBankError(f"{folder} contains no style bank: {error.filename} cannot be read") from error
    except ValidationError as error:
        raise StyleBankError(f"{folder / BANK_CARD} is damaged or of another version") from error
    if hashlib.sha256(content).hexdigest() != card.codes_sha256:
        raise StyleBankError(f"{folder / CODES_NAME} is damaged: its checksum is not the one in {BANK_CARD}")
    if card.model_digest != model.card.digest:
        raise StyleBankError(
            f"{folder} is the style bank of the model {card.model_digest[:12]}, not of {model.card.digest[:12]}: "
            "build it again"
        )
    try:
        codes = safetensors.torch.load(content)["codes"]
    except (safetensors.SafetensorError, KeyError) as error:
        raise StyleBankError(f"{folder / CODES_NAME} contains no codes") from error
    if codes.ndim != 2 or len(codes) != len(card.names):
        raise StyleBankError(f"{folder} has {len(card.names)} names for codes of shape {tuple(codes.shape)}")
    return StyleBank(card.names, codes, card.model_digest)
