from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan_core.inference.conditioning.style_bank import (
    CODES_NAME,
    StyleBank,
    StyleBankError,
    build_style_bank,
    load_style_bank,
    save_style_bank,
)
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import Model, load_model, save_model
from stylegan_core.recipes.swap import Config, Recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return swap_model(tmp_path_factory.mktemp("swap"), seed=0)


def swap_model(folder: Path, seed: int) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = Config(crop_px=32, channels=4, blocks=1, downsamplings=2, structure_channels=3, texture_width=8)
        networks = dict(Recipe(config).networks.state_dict())
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder, recipe="swap", config=config, working_space="srgb", sample_type="uint8", steps=1, images_seen=8,
        chosen="last", last=inference, best=inference, networks=networks,
    )  # fmt: skip
    return load_model(folder)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("references")
    rng = np.random.default_rng(0)
    for name, shape in (("sky.png", (40, 56)), ("oils/rock.png", (700, 64)), ("oils/tree.png", (33, 47))):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def bank(model: Model, references: Path) -> StyleBank:
    return build_style_bank(model, references)


def test_holds_the_code_of_each_reference(model: Model, references: Path, bank: StyleBank) -> None:
    assert sorted(bank.names) == ["oils/rock.png", "oils/tree.png", "sky.png"]
    assert bank.codes.shape == (3, 8)
    assert bank.model_digest == model.card.digest
    pixels = torch.from_numpy(np.asarray(Image.open(references / "sky.png")).copy())
    code = model.recipe.texture_codes(pixels.permute(2, 0, 1)[None] / 127.5 - 1)
    torch.testing.assert_close(bank.codes[bank.names.index("sky.png")], code[0], atol=1e-4, rtol=1e-4)


def test_a_bank_directs_as_its_pictures_do(model: Model, references: Path, bank: StyleBank) -> None:
    content = torch.rand(1, 3, 32, 32) * 2 - 1
    made = model.recipe.translate(content, bank.conditions({"sky.png": 3.0, "oils/tree.png": 1.0}, strength=0.7))
    codes = {name: bank.codes[i] for i, name in enumerate(bank.names)}
    mixed = (0.75 * codes["sky.png"] + 0.25 * codes["oils/tree.png"])[None]
    torch.testing.assert_close(made, model.recipe.translate(content, Conditions(style_codes=mixed, strength=0.7)))


def test_wrong_weights_are_refused(bank: StyleBank) -> None:
    with pytest.raises(StyleBankError, match=r"has no 'moon'.*sky\.png"):
        bank.conditions({"moon": 1.0})
    with pytest.raises(StyleBankError, match=r"weight of sky\.png is -1"):
        bank.conditions({"sky.png": -1.0})
    with pytest.raises(StyleBankError, match="above 0"):
        bank.conditions({"sky.png": 0.0})


def test_saves_and_loads(model: Model, bank: StyleBank, tmp_path: Path) -> None:
    save_style_bank(bank, tmp_path / "bank")
    loaded = load_style_bank(tmp_path / "bank", model)
    assert loaded.names == bank.names
    assert torch.equal(loaded.codes, bank.codes)
    first = {path.name: path.read_bytes() for path in (tmp_path / "bank").iterdir()}
    save_style_bank(bank, tmp_path / "bank")
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "bank").iterdir()}


def test_a_bank_that_does_not_fit_is_refused(model: Model, bank: StyleBank, tmp_path: Path) -> None:
    with pytest.raises(StyleBankError, match="contains no style bank"):
        load_style_bank(tmp_path / "none", model)
    save_style_bank(bank, tmp_path / "bank")
    with pytest.raises(StyleBankError, match="build it again"):
        load_style_bank(tmp_path / "bank", swap_model(tmp_path / "other", seed=1))
    codes = tmp_path / "bank" / CODES_NAME
    codes.write_bytes(codes.read_bytes()[:-1] + b"x")
    with pytest.raises(StyleBankError, match="damaged"):
        load_style_bank(tmp_path / "bank", model)


def test_what_gives_no_bank_is_said(model: Model, tiny_model: Model, references: Path, tmp_path: Path) -> None:
    with pytest.raises(StyleBankError, match="keyframe model, which makes no codes"):
        build_style_bank(tiny_model, references)
    with pytest.raises(StyleBankError, match="holds no picture"):
        build_style_bank(model, tmp_path)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(StyleBankError, match=r"broken\.png"):
        build_style_bank(model, tmp_path)
