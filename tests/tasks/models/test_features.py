from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from stylegan_core.features.feature_picture import feature_picture, layer_features
from stylegan_core.features.random_filters import RandomFilters
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rows, columns = np.mgrid[:48, :64]
    rgb = np.stack([4 * columns, 5 * rows, 2 * (rows + columns)], axis=-1).astype(np.uint8)
    write_picture(tmp_path / "photo.png", Picture(rgb))
    return tmp_path / "photo.png"


def test_a_layer_is_written_as_a_picture(photo: Path) -> None:
    small, large, grid = (photo.parent / name for name in ("small.png", "large.png", "new/grid.png"))
    result = CliRunner().invoke(app, ["features", str(photo), str(small), "--layer", "block3_conv1", "--no-enlarge"])
    assert result.exit_code == 0, result.output
    assert "64 channels of 16 x 12" in result.output
    rgb_unit = read_picture(photo).pixels.astype(np.float32) / 255
    expected = feature_picture(layer_features(RandomFilters(), "block3_conv1", rgb_unit))
    written = read_picture(small).pixels
    assert expected.std() > 10
    assert np.abs(written.astype(int) - expected).max() <= 1

    assert CliRunner().invoke(app, ["features", str(photo), str(large), "--layer", "block3_conv1"]).exit_code == 0
    assert np.array_equal(read_picture(large).pixels[::4, ::4], written)
    assert CliRunner().invoke(app, ["features", str(photo), str(grid), "--show", "grid"]).exit_code == 0
    assert read_picture(grid).pixels.shape == (8 * 4 - 1, 8 * 5 - 1, 1)  # block5_conv2 of 48 x 64 is 3 x 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "block9_conv1"], "--layer block9_conv1: expected one of block1_conv1"),
        (["--extractor", "vgg20"], "--extractor vgg20: expected one of random_filters, vgg19"),
        (["--show", "all"], "--show all: expected one of mean, grid"),
        (["--extractor", "vgg19", "--weights", "absent.pth"], "absent.pth does not exist"),
    ],
)
def test_wrong_calls_say_what_is_right(
    photo: Path, options: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    output = photo.with_name("out.png")
    result = CliRunner().invoke(app, ["features", str(photo), str(output), *options])
    assert result.exit_code == 2
    assert message in " ".join((capfd.readouterr().err + result.output).split())
    assert not output.exists()


def test_other_files_are_no_output(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["features", str(photo), str(photo.with_name("out.txt"))])
    assert result.exit_code == 2
    assert "out.txt must end in one of" in " ".join((capfd.readouterr().err + result.output).split())


def refused(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    result = CliRunner().invoke(app, ["features", *arguments])
    assert result.exit_code == 2
    return " ".join((capfd.readouterr().err + result.output).split())


def test_the_input_picture_is_not_overwritten(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = photo.read_bytes()
    assert "is the input picture" in refused(capfd, str(photo), str(photo))
    assert photo.read_bytes() == before


def test_a_folder_is_no_picture(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "is a folder: name one picture" in refused(capfd, str(photo.parent), str(photo.with_name("out.png")))


def test_weights_that_are_no_weights_bring_no_unsafe_advice(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = photo.with_name("vgg.pth")
    weights.write_bytes(b"x")
    vgg = ("--extractor", "vgg19", "--weights", str(weights))
    said = refused(capfd, str(photo), str(photo.with_name("out.png")), *vgg)
    assert "vgg.pth is not a state dict that can be read safely" in said
    assert "weights_only" not in said
