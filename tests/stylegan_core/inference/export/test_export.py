"""Every recipe, tiny, as ONNX: agreement at free sizes, independent of the exporter's own test."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from stylegan_core.inference.export import export, formats
from stylegan_core.inference.export.export import ExportOptions, export_onnx
from stylegan_core.inference.export.onnx_graph import ExportError, build_graph
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.backends.openvino_runtime import openvino_core
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import Conditions, Kind
from stylegan_core.recipes.model import load_model, save_model
from tests.tiny import tiny_sizes

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture
def tiny_of(tmp_path):
    """A recipe's tiny model with random weights, saved and loaded as any other."""

    def make(name, **settings):
        config = config_class(name)
        config = config(**(tiny_sizes(config) | settings))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            recipe = recipe_class(name)(config)
        networks = recipe.networks.state_dict()
        inference = {k: v for k, v in networks.items() if k.split(".")[0] in recipe.inference_networks}
        save_model(
            tmp_path / name,
            recipe=name,
            config=config,
            working_space="srgb",
            sample_type="uint8",
            steps=1,
            images_seen=8,
            chosen="last",
            last=inference,
            best=inference,
            networks=networks,
        )
        return load_model(tmp_path / name)

    return make


_graphs = {}


@pytest.fixture
def traced_once(monkeypatch):
    """Traces each model once, which takes torch ten seconds: tests of formats convert the same graph."""

    def build(model, direction, attributes):
        key = model.card.digest, direction
        if key not in _graphs:
            _graphs[key] = build_graph(model, direction, attributes)
        return _graphs[key]

    monkeypatch.setattr(export, "build_graph", build)


def needs_packages():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)


def signed(seed, count, height, width, channels=3):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_runs_elsewhere_at_any_size(name, tiny_of, tmp_path):
    needs_packages()
    import onnxruntime

    model = tiny_of(name)
    recipe = model.recipe
    if recipe.kind is not Kind.TRANSLATE:
        with pytest.raises(PlanError, match="from noise"):
            export_onnx(model, tmp_path / "model.onnx")
        return
    made = export_onnx(model, tmp_path / "model.onnx")
    card = json.loads(made.card_file.read_text())
    assert card == made.card.model_dump(mode="json", exclude_none=True)
    assert list(card)[-1] == "bytes"
    assert card["model"] == model.card.digest
    assert card["recipe"] == name
    heeded = {"styles": ("styles", "style_weights", "strength"), "labels": ("labels", "strength"), "direction": ()}
    expected = {"content", *(given for accepts in recipe.conditioned_on for given in heeded[accepts])}
    session = onnxruntime.InferenceSession(str(made.file), providers=["CPUExecutionProvider"])
    assert set(card["inputs"]) == {given.name for given in session.get_inputs()} == expected
    side = card["sides_px"]["multiple_of"]
    odd = (64 // side | 1) * side  # what a network pads to a larger multiple
    for seed, (count, height, width) in enumerate(((1, odd, 64), (2, 96, 32), (1, 32, odd))):
        feed = {"content": signed(seed, count, height, width, recipe.input_channels)}
        given = Conditions()
        if "labels" in expected:
            labels = torch.linspace(-1, 0.5, count * len(card["attributes"])).reshape(count, -1)
            feed["labels"], given = labels, replace(given, labels=labels)
        if "styles" in expected:
            feed["styles"], feed["style_weights"] = signed(9, 2, odd, 32), torch.tensor([0.3, 0.7])
            given = replace(given, styles=feed["styles"], style_weights=feed["style_weights"])
        if "strength" in expected:
            feed["strength"], given = torch.tensor(0.6), replace(given, strength=0.6)
        (result,) = session.run(None, {key: value.numpy() for key, value in feed.items()})
        with torch.no_grad():
            plain = recipe.translate(feed["content"], given).numpy()
        assert result.shape == (count, 3, height * recipe.scale, width * recipe.scale)
        np.testing.assert_allclose(result, plain, atol=1e-4)
        assert plain.std() > 1e-3


def test_a_model_goes_both_ways_one_at_a_time(tiny_of, tmp_path):
    needs_packages()
    import onnxruntime

    model = tiny_of("cyclegan")
    made = export_onnx(model, tmp_path / "back.onnx", direction="backward")
    assert made.card.direction == "backward"
    content = signed(0, 1, 64, 64)
    session = onnxruntime.InferenceSession(str(made.file), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"content": content.numpy()})
    with torch.no_grad():
        back = model.recipe.translate(content, Conditions(direction="backward")).numpy()
        forward = model.recipe.translate(content, Conditions()).numpy()
    np.testing.assert_allclose(result, back, atol=1e-4)
    assert np.abs(result - forward).max() > 1e-3


@pytest.mark.parametrize("wrong", ["content", "size"])
def test_an_export_that_differs_is_not_kept(tiny_model, tmp_path, monkeypatch, wrong):
    needs_packages()
    recipe = tiny_model.recipe
    plain = type(recipe).translate
    if wrong == "content":  # torch and its export disagree by a little everywhere
        monkeypatch.setattr(
            type(recipe),
            "translate",
            lambda self, x, c: plain(self, x, c) + (0.0 if torch.compiler.is_exporting() else 2e-4),
        )
    else:
        monkeypatch.setattr(type(recipe), "translate", lambda self, x, c: plain(self, x, c) * (int(x.shape[2]) / 128))
    with pytest.raises(ExportError, match=r"differs from the model|another size|cannot express"):
        export_onnx(tiny_model, tmp_path / "model.onnx")
    assert list(tmp_path.glob("model.*")) == []


def test_missing_packages_are_named(tiny_model, tmp_path, monkeypatch):
    found = formats.importlib.util.find_spec
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    with pytest.raises(ExportError, match="export requires onnxscript: pip install onnx onnxscript onnxruntime"):
        export_onnx(tiny_model, tmp_path / "model.onnx")
    assert list(tmp_path.glob("model.*")) == []


def test_a_file_that_is_no_card_is_not_replaced(tiny_model, tmp_path):
    """An export into the model's own folder, as model.onnx, would replace its card."""
    before = (tiny_model.folder / "model.json").read_bytes()
    with pytest.raises(PlanError, match=r"model\.json exists and is not the card of an export"):
        export_onnx(tiny_model, tiny_model.folder / "model.onnx")
    assert (tiny_model.folder / "model.json").read_bytes() == before
    assert not (tiny_model.folder / "model.onnx").exists()


def test_an_export_may_be_made_again_and_a_bad_place_is_named(tiny_model, tmp_path):
    needs_packages()
    first = export_onnx(tiny_model, tmp_path / "a.onnx")
    assert b".py" not in first.file.read_bytes()  # no stack traces of this machine
    assert export_onnx(tiny_model, tmp_path / "a.onnx").card == first.card
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ExportError, match=r"folder\.onnx cannot be written"):
        export_onnx(tiny_model, tmp_path / "folder.onnx")
    assert list(tmp_path.glob("folder.json")) == []


def psnr_of(file, model, picture):
    """PSNR of an export, run by its own engine, to the model."""
    if file.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        (made,) = session.run(None, {"content": picture.numpy()})
    else:
        made = openvino_core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(
            {"content": picture.numpy()}
        )[0]
    with torch.no_grad():
        error = np.square((made - model.recipe.translate(picture, Conditions()).numpy()) / 2).mean()
    return -10 * np.log10(max(error, 1e-20))


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_both_formats_agree_in_every_precision(tiny_of, tmp_path, suffix, precision):
    needs_packages()
    pytest.importorskip("openvino")
    model = tiny_of("pix2pix")
    made = export_onnx(
        model, tmp_path / f"model{suffix}", options=ExportOptions(precision, test=[signed(3, 1, 40, 64)])
    )
    assert made.card.precision == precision
    assert made.card.pictures_tested == 3
    measured = psnr_of(made.file, model, signed(5, 1, 72, 48))
    assert measured > (90 if precision == "fp32" else 50)
    beside = {".json", ".bin"} if suffix == ".xml" else {".json"}
    assert {path.suffix for path in tmp_path.glob("model.*")} == {suffix, *beside}
    if precision == "fp32":
        assert made.card.largest_difference_to_torch_on_pictures <= 1e-4
    else:
        assert 50 <= made.card.psnr_to_torch_db < 90


@pytest.mark.usefixtures("traced_once")
def test_two_byte_weights_halve_the_file(tiny_of, tmp_path):
    needs_packages()
    model = tiny_of("pix2pix")
    recipe = model.recipe
    weights = sum(p.numel() for p in (*recipe.parameters(), *recipe.buffers()) if p.numel() >= 256)
    sizes = {
        p: export_onnx(model, tmp_path / f"{p}.onnx", options=ExportOptions(p)).card.bytes for p in ("fp32", "fp16")
    }
    assert 1.6 * weights < sizes["fp32"] - sizes["fp16"] < 2 * weights


@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_int8_reports_its_loss(tiny_of, tmp_path, suffix, caplog):
    needs_packages()
    pytest.importorskip("nncf")
    model = tiny_of("cyclegan")
    file = tmp_path / f"model{suffix}"
    with pytest.raises(PlanError, match="--calibrate"):
        export_onnx(model, file, options=ExportOptions("int8"))
    fitted, others = [signed(n, 1, 64, 64) for n in range(3)], [signed(9, 1, 64, 64)]
    with pytest.raises(ExportError, match=r"int8 reaches .* dB .* --accept-loss"):
        export_onnx(model, file, options=ExportOptions("int8", fitted, others, 90.0))
    assert list(tmp_path.glob("model.*")) == []
    made = export_onnx(model, file, options=ExportOptions("int8", fitted, others, 10.0))
    loss = made.card.psnr_to_torch_db
    assert 10 < loss < 70
    assert psnr_of(file, model, others[0]) > loss - 0.5
    assert caplog.handler.level == 0, "NNCF's level is set in its own logger alone"


@pytest.mark.usefixtures("traced_once")
def test_reduced_precision_that_loses_too_much_is_not_kept(tiny_of, tmp_path, monkeypatch):
    needs_packages()
    monkeypatch.setattr(formats, "psnr_db", lambda made, expected: 49.9)
    monkeypatch.setattr("stylegan_core.inference.export.export.psnr_db", lambda made, expected: 49.9)
    with pytest.raises(ExportError, match=r"bf16 reaches 49\.9 dB .* less than 50 dB"):
        export_onnx(tiny_of("pix2pix"), tmp_path / "model.onnx", options=ExportOptions("bf16"))
    assert list(tmp_path.glob("model.*")) == []


def test_a_guided_model_takes_the_guide_as_further_channels(tiny_of, tmp_path):
    needs_packages()
    import onnxruntime

    model = tiny_of("keyframe", guide=True)
    exported = export_onnx(model, tmp_path / "model.onnx")
    card = json.loads(exported.card_file.read_text())
    assert card["inputs"]["content"]["shape"] == ["pictures", 7, "height", "width"]
    assert "guide" in card["inputs"]["content"]["range"]
    content = torch.rand(1, 7, 40, 48, generator=torch.Generator().manual_seed(3)) * 2 - 1
    session = onnxruntime.InferenceSession(exported.file, providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"content": content.numpy()})
    with torch.no_grad():
        expected = model.recipe.translate(content, Conditions()).numpy()
    assert np.abs(made - expected).max() < 1e-4
