import pytest


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory):
    """A keyframe model with random weights, which changes pictures visibly."""
    import torch

    from stylegan_core.recipes.keyframe import Config, Recipe
    from stylegan_core.recipes.model import save_model

    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    config = Config(channels=4, blocks=1, stem_px=3, downsamplings=1, mixing_taps=0)
    networks = {k: v + 0.05 * torch.randn_like(v) for k, v in Recipe(config).networks.state_dict().items()}
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder, recipe="keyframe", config=config, working_space="srgb", sample_type="uint8", steps=1, images_seen=8,
        chosen="last", last=inference, best=inference, networks=networks,
    )
    return folder
