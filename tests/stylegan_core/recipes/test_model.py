import hashlib
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.recipes.model import (
    ModelCard,
    ModelError,
    load_model,
    load_networks,
    model_digest,
    read_card,
    save_model,
)

CONFIG = Config(channels=4, blocks=1, discriminator_channels=4, discriminator_layers=1)


def recipe_of(seed: int) -> Recipe:
    torch.manual_seed(seed)
    return Recipe(CONFIG)


def generator_of(recipe: Recipe) -> dict[str, torch.Tensor]:
    return {k: v for k, v in recipe.networks.state_dict().items() if k.startswith("generator.")}


def save(folder: Path, chosen: str = "last") -> ModelCard:
    return save_model(
        folder,
        recipe="keyframe",
        config=CONFIG,
        working_space="srgb",
        sample_type="uint8",
        steps=10,
        images_seen=80,
        chosen=chosen,
        last=generator_of(recipe_of(1)),
        best=generator_of(recipe_of(2)),
        networks=recipe_of(3).networks.state_dict(),
        validation={"last": {"l1": 0.5}, "best": {"l1": 0.25}},
        shots=["sample"],
    )


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    card = save(tmp_path)
    assert read_card(tmp_path) == card
    content = torch.rand(1, 3, 32, 32) * 2 - 1
    rng = torch.get_rng_state()
    for weights, seed in (("chosen", 1), ("last", 1), ("best", 2)):
        torch.set_rng_state(rng)
        model = load_model(tmp_path, weights=weights)
        assert torch.equal(torch.get_rng_state(), rng), "loading drew random numbers"
        expected = recipe_of(seed).eval().translate(content, Conditions())
        assert torch.equal(model.recipe.translate(content, Conditions()), expected)
        assert set(model.recipe.networks) == {"generator"}
        assert not model.recipe.training
        assert not any(p.requires_grad for p in model.recipe.parameters())
    networks = load_networks(tmp_path)
    expected_networks = recipe_of(3).networks.state_dict()
    assert networks.keys() == expected_networks.keys()
    assert all(torch.equal(v, expected_networks[k]) for k, v in networks.items())


def test_a_model_of_before_a_setting_does_what_it_did_then(tmp_path: Path) -> None:
    # Version 0.2.0 wrote no `anti_aliased`, and its networks were not.
    old = CONFIG.model_copy(update={"anti_aliased": False})
    save(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    del document["config"]["anti_aliased"]
    document["digest"] = model_digest(
        "keyframe", document["config"], "srgb", "uint8", document["weights"]["last"]["sha256"]
    )
    (tmp_path / "model.json").write_text(json.dumps(document))
    model = load_model(tmp_path)
    assert model.card.digest == document["digest"]
    assert model.recipe.config == old
    torch.manual_seed(1)
    content, expected = torch.rand(1, 3, 32, 32) * 2 - 1, Recipe(old).eval()
    expected.networks.load_state_dict(recipe_of(1).networks.state_dict())
    assert torch.equal(model.recipe.translate(content, Conditions()), expected.translate(content, Conditions()))
    save(tmp_path)
    assert load_model(tmp_path).recipe.config == CONFIG
    assert CONFIG.anti_aliased


def test_equal_models_give_equal_bytes_and_the_digest_follows_what_matters(tmp_path: Path) -> None:
    first, again, best = save(tmp_path / "a"), save(tmp_path / "b"), save(tmp_path / "c", chosen="best")
    assert first.digest == again.digest != best.digest
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert load_model(tmp_path / "c").card.chosen == "best"


def test_files_are_plain_json_and_safetensors_with_true_checksums(tmp_path: Path) -> None:
    save(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.safetensors",
        "last.safetensors",
        "model.json",
        "networks.safetensors",
    ]
    for entry in (*document["weights"].values(), document["networks"]):
        content = (tmp_path / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert safetensors.torch.load(content)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a model folder"):
        load_model(tmp_path / "none")

    save(tmp_path / "flipped")
    path = tmp_path / "flipped" / "last.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"last\.safetensors is damaged"):
        load_model(tmp_path / "flipped")
    load_model(tmp_path / "flipped", weights="best")

    save(tmp_path / "lost")
    (tmp_path / "lost" / "last.safetensors").unlink()
    with pytest.raises(ModelError, match="incomplete"):
        load_model(tmp_path / "lost")

    save(tmp_path / "cut_off")
    path = tmp_path / "cut_off" / "model.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path / "cut_off")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"working_space": "linear_rec709"}, "no longer matches its digest"),
        ({"chosen": "best"}, "no longer matches its digest"),
        ({"recipe": "unheard_of"}, "no longer matches its digest"),
        ({"surprise": 1}, "surprise"),
        ({"weights": {"last": {"file": "../outside.safetensors", "sha256": "0" * 64}}}, "file"),
    ],
)
def test_an_edited_card_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    save(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


def test_a_model_of_another_version_is_refused_with_the_reason(tmp_path: Path) -> None:
    card = save(tmp_path)
    for changes, message in (
        ({"recipe": "of_tomorrow"}, "this version knows: .*cut.*keyframe"),
        ({"config": {"x": 1}}, "x: "),
    ):
        parts = card.model_dump() | changes
        digest = model_digest(parts["recipe"], parts["config"], "srgb", "uint8", card.weights["last"].sha256)
        edit(tmp_path, **({"recipe": card.recipe, "config": card.config} | changes | {"digest": digest}))
        with pytest.raises(ModelError, match=message):
            load_model(tmp_path)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_model(
        tmp_path,
        recipe="keyframe",
        config=CONFIG.model_copy(update={"blocks": 2}),
        working_space="srgb",
        sample_type="uint8",
        steps=1,
        images_seen=1,
        chosen="last",
        last=generator_of(recipe_of(1)),
        best=generator_of(recipe_of(1)),
        networks={},
    )
    with pytest.raises(ModelError, match="do not fit"):
        load_model(tmp_path)
