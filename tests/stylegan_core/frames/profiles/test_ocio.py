"""OpenColorIO by name: against closed forms of the standards, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stylegan_core.frames.colour.convert import to_working, working_space_name
from stylegan_core.frames.colour.srgb import linear_to_srgb
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG, ColourError, config_name, load_config

OWN_CONFIG = """\
ocio_profile_version: 2
search_path: luts
roles: {default: raw, scene_linear: lin, data: raw, aces_interchange: aces}
file_rules:
  - !<Rule> {name: Plates, colorspace: graded, pattern: "*_grade*", extension: "*"}
  - !<Rule> {name: Default, colorspace: raw}
displays:
  screen:
    - !<View> {name: plain, colorspace: graded}
colorspaces:
  - !<ColorSpace> {name: raw, isdata: true}
  - !<ColorSpace>
    name: aces
    encoding: scene-linear
  - !<ColorSpace>
    name: lin
    encoding: scene-linear
    to_scene_reference: !<BuiltinTransform> {style: ACEScg_to_ACES2065-1}
  - !<ColorSpace>
    name: graded
    aliases: [my_grade]
    encoding: sdr-video
    to_scene_reference: !<FileTransform> {src: curve.spi1d, interpolation: linear}
  - !<ColorSpace>
    name: clamped
    from_scene_reference: !<RangeTransform> {min_in_value: 0, min_out_value: 0, max_in_value: 0.3, max_out_value: 0.3}
  - !<ColorSpace>
    name: one_way
    from_scene_reference: !<MatrixTransform> {matrix: [1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1]}
"""
LUT = "Version 1\nFrom 0.0 1.0\nLength 3\nComponents 1\n{\n0.0\n0.25\n1.0\n}\n"


@pytest.fixture
def own_config(tmp_path: Path) -> Path:
    (tmp_path / "luts").mkdir()
    (tmp_path / "luts/curve.spi1d").write_text(LUT)
    path = tmp_path / "config.ocio"
    path.write_text(OWN_CONFIG)
    return path


def test_the_pinned_config_agrees_with_our_own_spaces_and_with_the_standards() -> None:
    config = load_config(PINNED_CONFIG)
    light = np.exp2(np.linspace(-9, 0, 300, dtype=np.float32)).reshape(10, 10, 3)
    encoded = config.convert(light.copy(), "linear_rec709", "sRGB - Texture")
    assert np.allclose(encoded, linear_to_srgb(light), atol=1e-5)
    # ACEScct (S-2016-001): a straight toe below 2^-7, base-2 logarithm above.
    codes = config.convert(light.copy(), "ACEScg", "ACEScct")
    straight, curved = 10.5402377416545 * light + 0.0729055341958355, (np.log2(light) + 9.72) / 17.52
    assert np.allclose(codes, np.where(light <= 0.0078125, straight, curved), atol=1e-6)
    white = config.convert(np.ones((1, 3), np.float32), "linear_rec709", "ACES2065-1")
    assert np.allclose(white, 1, atol=1e-5)
    assert config.round_trip_error("ACEScg", "ACEScct") < 1e-5
    # PQ (SMPTE ST 2084): code 0.508 is 100 nits, which is 1.
    assert np.allclose(
        config.convert(np.full((1, 3), 0.5081, np.float32), "Rec.2100-PQ - Display", "srgb"), 1, atol=2e-3
    )


def test_names_aliases_roles_and_ids_are_one_space() -> None:
    config = load_config(PINNED_CONFIG)
    assert {config.find(name) for name in ("ACEScg", "lin_ap1", "scene_linear", "lin_ap1_scene")} == {"ACEScg"}
    assert config.interop_id("ACEScg") == "lin_ap1_scene"
    assert config.find("view:") == "view:sRGB - Display/ACES 2.0 - SDR 100 nits (Rec.709)"
    same = np.full((2, 3), 0.3, np.float32)
    assert np.array_equal(config.convert(same.copy(), "lin_ap1", "ACEScg"), same)
    assert np.array_equal(config.convert(same.copy(), "view:", config.find("view:")), same)
    assert config.is_logarithmic("ARRI LogC4")
    assert config.is_logarithmic("acescct")
    assert not config.is_logarithmic("ACEScg")
    assert config.is_linear("ACEScg")
    assert not config.is_linear("ACEScct")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ACESgc", "did you mean ACEScg"),
        ("zzz", r"its spaces are: .* and \d+ more"),
        ("view:Cinema", "no display 'Cinema'; it has: sRGB - Display"),
        ("view:sRGB - Display/Filmic", "no view 'Filmic' of sRGB - Display; it has: ACES 2.0"),
    ],
)
def test_an_unknown_space_is_reported_with_alternatives(name: str, message: str) -> None:
    with pytest.raises(ColourError, match=message):
        load_config(PINNED_CONFIG).find(name)


def test_a_users_config_with_its_tables_rules_and_our_own_words(own_config: Path) -> None:
    config = load_config(own_config)
    grey = np.full((1, 3), 0.75, np.float32)
    assert np.allclose(config.convert(grey.copy(), "graded", "aces"), 0.625)
    # It knows no sRGB and no linear Rec.709: the library leads there by the role aces_interchange.
    rec709 = config.convert(grey.copy(), "aces", "linear_rec709")
    assert np.allclose(rec709, 0.75, atol=1e-5)
    assert np.allclose(config.convert(rec709.copy(), "linear_rec709", "aces"), grey, atol=1e-5)
    assert np.allclose(config.convert(rec709.copy(), "linear_rec709", "srgb"), linear_to_srgb(rec709), atol=1e-5)
    assert config.file_rule("/plates/a_grade.0001.exr") == "graded"
    assert config.file_rule("/plates/a.0001.exr") is None
    shown = config.convert(grey.copy(), "aces", "view:screen/plain")
    assert np.allclose(config.convert(shown, "view:screen/plain", "aces"), grey, atol=1e-5)
    assert np.allclose(
        to_working(grey[None], source_space="my_grade", working_space="aces", ocio=str(own_config)), 0.625
    )
    with pytest.raises(ColourError, match="did you mean graded"):
        config.find("gradet")


def test_the_digest_is_of_the_content_of_config_and_tables(own_config: Path, tmp_path: Path) -> None:
    digest = load_config(own_config).digest
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    own_config.rename(moved / "config.ocio")
    (tmp_path / "luts").rename(moved / "luts")
    assert load_config(moved / "config.ocio").digest == digest
    (moved / "luts/curve.spi1d").write_text(LUT.replace("0.25", "0.26"))
    (moved / "config.ocio").touch()
    assert load_config(moved / "config.ocio").digest != digest


def test_which_config_is_taken(own_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)
    assert config_name() == PINNED_CONFIG
    monkeypatch.setenv("OCIO", str(own_config))
    assert config_name() == load_config().name == str(own_config)
    assert config_name(PINNED_CONFIG) == PINNED_CONFIG
    assert load_config(PINNED_CONFIG).name == PINNED_CONFIG
    monkeypatch.setenv("OCIO", str(tmp_path / "none.ocio"))
    with pytest.raises(ColourError, match=r"none\.ocio.*cannot be read"):
        load_config()
    (tmp_path / "bad.ocio").write_text("ocio_profile_version: 2\ncolorspaces: 3\n")
    with pytest.raises(ColourError, match=r"bad\.ocio is not a usable OpenColorIO config"):
        load_config(tmp_path / "bad.ocio")


def test_a_working_space_needs_a_way_back(own_config: Path) -> None:
    assert working_space_name("my_grade", str(own_config)) == "graded"
    for name, message in (("clamped", "round trip"), ("one_way", "cannot convert"), ("none", "no colour space")):
        with pytest.raises(ColourError, match=message):
            working_space_name(name, str(own_config))
    config = load_config(PINNED_CONFIG)
    for space in config.space_names():
        assert working_space_name(space, PINNED_CONFIG) == space


def test_threads_share_a_config() -> None:
    picture = np.random.default_rng(2).random((64, 64, 3)).astype(np.float32)

    def convert(_: int) -> np.ndarray:
        return load_config(PINNED_CONFIG).convert(picture.copy(), "ACEScg", "view:")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(convert, range(16)))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_plain_pictures_do_not_load_opencolorio() -> None:
    program = (
        "import sys, numpy as np\n"
        "from stylegan_core.frames.colour.carry_over import carry_over\n"
        "from stylegan_core.frames.colour.convert import to_working\n"
        "from stylegan_core.frames.pictures.picture import Picture\n"
        "for kind in ('uint8', 'float32'):\n"
        "    picture = Picture(np.ones((2, 2, 3), kind))\n"
        "    before = to_working(picture)\n"
        "    carry_over(picture, before, before / 2)\n"
        "sys.exit('PyOpenColorIO' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
