import pytest
import torch

from stylegan_core.recipes import config_class, recipe_class
from stylegan_core.recipes.model import ModelError, load_networks, read_card, save_model
from stylegan_core.training.persistence.model_store import find_model, keep_model


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    config = config_class("keyframe")(channels=4, blocks=1, discriminator_channels=4)
    torch.manual_seed(0)
    networks = recipe_class("keyframe")(config).networks.state_dict()
    generator = {k: v for k, v in networks.items() if k.startswith("generator.")}
    common = {"working_space": "srgb", "sample_type": "uint8", "steps": 1, "images_seen": 8, "chosen": "last"}
    save_model(
        tmp_path / "model",
        recipe="keyframe",
        config=config,
        last=generator,
        best=generator,
        networks=networks,
        **common,
    )
    return tmp_path / "model"


def test_a_kept_model_is_found_by_its_digest_when_its_folder_is_gone(model):
    digest = read_card(model).digest
    networks = load_networks(model)
    keep_model(model)
    keep_model(model)  # twice is once
    assert find_model(str(model)) == model
    for path in model.iterdir():
        path.unlink()
    for name in (digest, digest[:8]):
        found = find_model(name)
        assert read_card(found).digest == digest
        assert all(torch.equal(v, networks[k]) for k, v in load_networks(found).items())


def test_a_copy_that_was_torn_is_made_again(model):
    place = keep_model(model)
    (place / "model.json").unlink()
    assert read_card(keep_model(model)).digest == read_card(model).digest


def test_unknown_names_are_explained(model):
    with pytest.raises(ModelError, match=r"emptied before it runs.*The newest: none"):
        find_model("models/all")
    keep_model(model)
    with pytest.raises(ModelError, match=read_card(model).digest[:12]):
        find_model("0" * 64)
