"""Which space a picture is taken to be in, in the order of what is believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ImageCms

from stylegan_core.frames.colour.source_space import source_space_of
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.primaries import KNOWN, space_of_primaries, to_rec709

FLOATS = Picture(np.full((1, 1, 3), 0.5, np.float16), "exr")
CODES = Picture(np.zeros((1, 1, 3), np.uint16), "dpx")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDE = imagecodecs.cms_profile(
    "rgb", whitepoint=(0.3127, 0.3290, 1.0), primaries=(0.64, 0.33, 1.0, 0.21, 0.71, 1.0, 0.15, 0.06, 1.0), gamma=2.2
)
XYZ = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3)
CONFIG = """\
ocio_profile_version: 2
roles: {default: raw}
file_rules:
  - !<Rule> {name: Graded, regex: ".*/graded/.*"  , colorspace: graded}
  - !<Rule> {name: Default, colorspace: raw}
displays: {screen: [!<View> {name: plain, colorspace: graded}]}
colorspaces:
  - !<ColorSpace> {name: raw, isdata: true}
  - !<ColorSpace> {name: graded, encoding: sdr-video}
"""


def tagged(picture: Picture, **tags: object) -> Picture:
    return replace(picture, colour_tags=tags)


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        (FLOATS, "linear_rec709"),
        (CODES, "srgb"),
        (replace(CODES, icc_profile=SRGB), "srgb"),
        (replace(CODES, icc_profile=WIDE), "icc"),
        (replace(CODES, icc_profile=b"damaged"), "srgb"),
        (tagged(FLOATS, colorInteropID="lin_ap1_scene"), "ACEScg"),
        (tagged(FLOATS, colorInteropID="srgb_rec709_scene"), "srgb"),
        (tagged(FLOATS, colorInteropID="unknown"), "linear_rec709"),
        (tagged(FLOATS, colorInteropID="of tomorrow"), "linear_rec709"),
        (tagged(FLOATS, acesImageContainerFlag=1), "ACES2065-1"),
        (tagged(FLOATS, chromaticities=KNOWN["lin_ap0_scene"]), "ACES2065-1"),
        (tagged(FLOATS, chromaticities=KNOWN["lin_ap1_scene"]), "ACEScg"),
        (tagged(FLOATS, chromaticities=KNOWN["linear_rec709"]), "linear_rec709"),
        (tagged(FLOATS, chromaticities=KNOWN["lin_p3d65_scene"]), "Linear P3-D65"),
        (tagged(FLOATS, chromaticities=(0.0,) * 8), "linear_rec709"),
        (tagged(FLOATS, chromaticities="odd"), "linear_rec709"),
        (tagged(FLOATS, colorInteropID="lin_ap1_scene", chromaticities=KNOWN["lin_ap0_scene"]), "ACEScg"),
        (tagged(CODES, cicp=(1, 13, 0, 1)), "srgb"),
        (tagged(CODES, cicp=(12, 13, 0, 1)), "sRGB Encoded P3-D65"),
        (tagged(CODES, cicp=(9, 16, 0, 1)), "Rec.2100-PQ - Display"),
        (tagged(CODES, cicp=(9, 18, 0, 1)), "Rec.2100-HLG - Display"),
        (tagged(CODES, cicp=(2, 2, 0, 1)), "srgb"),
        (tagged(CODES, transfer="bt709"), "srgb"),
        (tagged(CODES, transfer="smpte2084"), "Rec.2100-PQ - Display"),
        (tagged(CODES, transfer="linear"), "linear_rec709"),
        (tagged(CODES, transfer="bt601 of tomorrow"), "srgb"),
        (tagged(CODES, transfer="linear", colorimetric="linear"), "linear_rec709"),
        (tagged(CODES, transfer="ITU-R 709"), "srgb"),
        (tagged(CODES, transfer="unspecified video"), "srgb"),
        (replace(FLOATS, format="movie"), "srgb"),
        (replace(tagged(FLOATS, transfer="bt709"), format="movie"), "srgb"),
    ],
)
def test_what_a_file_says(picture: Picture, name: str) -> None:
    assert source_space_of(picture).name == name
    assert source_space_of(picture, "ACEScct").name == "ACEScct"  # what is asked for comes first


def test_the_description_names_space_and_reason() -> None:
    assert source_space_of(FLOATS).describe() == (
        "colours are read as linear Rec.709 (default for untagged floating-point samples)"
    )
    assert source_space_of(CODES).describe() == "colours are read as sRGB (default for untagged integer samples)"
    assert source_space_of(tagged(FLOATS, chromaticities=XYZ)).describe() == (
        "colours are read as linear light with its own primaries (from its chromaticities)"
    )
    log = source_space_of(tagged(CODES, transfer="printing density"))
    assert log.name == "srgb"
    assert "--source-space" in log.describe()
    assert source_space_of(FLOATS, "acescg").describe() == "colours are read as ACEScg (as requested)"


def test_file_rules_of_the_users_own_config(tmp_path: Path) -> None:
    config = tmp_path / "config.ocio"
    config.write_text(CONFIG)
    graded, plain = Path("/shows/graded/a.0001.exr"), Path("/shows/plates/a.0001.exr")
    found = source_space_of(FLOATS, path=graded, ocio=str(config))
    assert found.name == "graded"
    assert f"a file rule of {config}" in found.reason
    assert source_space_of(FLOATS, path=plain, ocio=str(config)).name == "linear_rec709"
    # The built-in's rules guess by suffix; EXR would be ACES2065-1.
    assert source_space_of(FLOATS, path=plain).name == "linear_rec709"
    # A tag is of this file, a rule of many.
    assert source_space_of(tagged(FLOATS, transfer="linear"), path=graded, ocio=str(config)).name == "linear_rec709"


def test_other_primaries_by_their_matrix() -> None:
    name = space_of_primaries(XYZ)
    assert name is not None
    assert name.startswith("linear:")
    # Published with sRGB (IEC 61966-2-1), for colours as measured.
    assert np.allclose(to_rec709(name)[0], [3.2406, -1.5372, -0.4986], atol=2e-3)
    d50 = space_of_primaries((0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001, 0.3457, 0.3585))
    assert d50 is not None
    assert np.allclose(to_rec709(d50) @ np.ones(3), 1, atol=1e-6)
    # Published: ACEScg to linear sRGB, Bradford.
    ap1 = to_rec709("linear:" + ",".join(map(str, KNOWN["lin_ap1_scene"])))
    assert np.allclose(ap1[0], [1.70505, -0.62179, -0.08326], atol=5e-4)
    for wrong in ((0.0,) * 8, (0.3, 0.3) * 4, (float("nan"),) * 8, (1.0, 2.0)):
        assert space_of_primaries(wrong) is None
