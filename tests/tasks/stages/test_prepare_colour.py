"""Preparing film: linear plates and sRGB paintings in one working space, which store and model remember."""

import numpy as np
import pytest

from stylegan_core.frames.base.bit_depth import from_codes
from stylegan_core.frames.colour.srgb import srgb_to_linear
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG, load_config
from tasks.shared.errors import UsageError
from tests.tasks.prepared import pixels, read, run, save

pytestmark = pytest.mark.usefixtures("workplace")

PAIRS = {"source": "pairs", "content": "plates", "style": "painted"}


def acescct(light):
    return load_config(PINNED_CONFIG).convert(np.array(light, np.float32), "linear_rec709", "ACEScct")


@pytest.fixture
def pair(workplace):
    """A linear plate with a highlight of 16, and the painting of it that another program saved as an 8-bit PNG."""
    light = srgb_to_linear(pixels(1).astype(np.float32) / 255)
    light[4:8, 4:8] = 16
    (workplace / "plates").mkdir()
    write_picture(workplace / "plates/a.0001.exr", Picture(light.astype(np.float16), "exr"))
    save(workplace / "painted/a.0001.png", pixels(2))
    return light


def test_a_linear_plate_and_an_srgb_painting_meet_in_acescct(pair):
    report = run(**PAIRS, working_space="acescct", sample_type="half")
    _, store = read()
    assert store.working_space == report["working_space"] == "ACEScct"
    assert store.ocio == load_config(PINNED_CONFIG).digest
    plate, painting = store.unit(0), store.unit(1)
    assert np.abs(plate - acescct(pair)).max() < 2e-3
    assert plate.max() > 0.78
    assert np.abs(painting - acescct(srgb_to_linear(pixels(2).astype(np.float32) / 255))).max() < 2e-3
    colours = [group["colour"] for group in report["groups"].values()]
    assert {"linear_rec709": 1} in colours
    assert {"srgb": 1} in colours


def test_log_dpx_by_name_and_smaller_by_light(workplace, pair):
    grey = np.random.default_rng(3).integers(200, 700, (64, 64, 1))
    codes = (grey + np.array([0, 10, -10])).astype(np.uint16)
    (workplace / "log").mkdir()
    write_picture(workplace / "log/a.0001.dpx", Picture(from_codes(codes, 10), "dpx", bits=10))
    save(workplace / "painted/a.0001.png", pixels(2, 64, 64))
    spaces = {"content_space": "ARRI LogC4", "working_space": "ACEScct", "sample_type": "half", "resize_px": 32}
    run(**PAIRS | {"content": "log"}, **spaces)
    light = load_config(PINNED_CONFIG).convert(
        (codes / np.float32(1023)).astype(np.float32), "ARRI LogC4", "linear_rec709"
    )
    averaged = light.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(read()[1].unit(0) - np.clip(acescct(averaged), 0, 1)).max() < 2e-3


def test_plain_settings_record_no_config(pair):
    run(**PAIRS)
    assert read()[1].ocio is None
    assert "ocio" not in (read()[1].folder / "samples.json").read_text()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"working_space": "ACEScgg"}, "did you mean ACEScg"),
        ({"content_space": "ACEScgg"}, "did you mean ACEScg"),
        ({"style_space": "view:Cinema"}, "no display 'Cinema'"),
        ({"working_space": "ACEScct", "ocio": "none.ocio"}, r"none\.ocio cannot be read"),
    ],
)
def test_a_space_that_is_not_there_is_refused_before_the_first_picture(pair, setting, said):
    with pytest.raises(UsageError, match=said):
        run(**PAIRS, **setting)
