"""Five rules by which a network's change may be carried to light beyond its range, compared on scene-linear plates.

The network sees [0, 1] of sRGB; a plate holds highlights of 16 and more, and light below 0. Plates are drawn by code, a
photograph pushed to scene-linear light, and the EXR files of a folder. docs/adr/0008 draws the conclusion.

    python benchmarks/highlights.py --model FOLDER [--plates $DATA/exr] [--picture docs/results/highlights.jpg]

Prints a line of JSON a plate and rule:

    exchanged_error   where the network saw all, how far the result is from its answer, largest, in light
    style_kept        where it saw white of brighter light: how much of its change, in stops, arrives there; 1 is all
    new_negative      darkest light below 0 that the source did not have
    lifted_noise      noise around 0 that the network painted evenly at 0.2: what is left of it, over 0.2
    camera_log_stops  how much else the result is if the plate is stored in a camera's log, median of highlights
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stylegan_core.data.sample.photographs import load_photograph
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.residual import blend_back_change
from stylegan_core.frames.colour.srgb import linear_to_srgb, srgb_to_linear
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.profiles.ocio import load_config
from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.recipes.model import load_model
from stylegan_core.report.results import Result, record_results

Light = NDArray[np.float32]
Rule = Callable[[Light, Light, Light], Light]
LOG = "ARRI LogC4"
_FLOOR = np.float32(2**-9)
_BRIGHTEST = 16
_SIDE_PX = 512


def _cct(light: Light, *, back: bool = False) -> Light:
    """ACEScct's curve (S-2016-001), on the plate's own primaries; ``back`` decodes."""
    if back:
        toe = (light - 0.0729055341958355) / 10.5402377416545
        return np.where(light <= 0.155251141552511, toe, np.exp2(17.52 * light - 9.72)).astype(np.float32)
    toe = 10.5402377416545 * light + 0.0729055341958355
    bright = (np.log2(np.maximum(light, 1e-9)) + 9.72) / 17.52
    return np.where(light <= 0.0078125, toe, bright).astype(np.float32)


def _by_log(source: Light, before: Light, after: Light) -> Light:
    return _cct(_cct(source) + _cct(after) - _cct(before), back=True)


def _continued(source: Light, before: Light, after: Light) -> Light:
    return srgb_to_linear(linear_to_srgb(source) + linear_to_srgb(after) - linear_to_srgb(before))


# Each takes the plate and what the network saw and made of it, as light.
RULES: dict[str, Rule] = {
    "sum_in_light": lambda source, before, after: source + after - before,
    "gain_in_light": lambda source, before, after: source * (np.maximum(after, 0) + _FLOOR) / (before + _FLOOR),
    "sum_in_log": _by_log,
    "sum_in_srgb": _continued,
    "residual": lambda source, before, after: source + blend_back_change(source, before, after, logarithmic=False),
}


def drawn_plate() -> Light:
    """(320, 480, 3): grain, discs of 1.5 to 64, specks, a ramp of 13 stops, colours beyond Rec.709, noise around 0."""
    height, width = 320, 480
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    grey = 0.18 * np.exp2(1.2 * np.sin(x / 37) * np.cos(y / 29) + 0.5 * np.sin((x + y) / 11))
    grain = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 1.5)
    plate = (grey * np.exp2(grain))[..., None] * np.array([1.1, 1, 0.8], np.float32)

    def disc(at_x: float, at_y: float, radius: float, light: tuple[float, ...], soft_px: float = 2) -> None:
        inside = np.clip((radius - np.hypot(x - at_x, y - at_y)) / soft_px + 0.5, 0, 1)[..., None]
        plate[:] = plate * (1 - inside) + inside * np.array(light, np.float32)

    disc(90, 80, 40, (16, 16, 16))
    disc(200, 80, 30, (16, 9, 3))
    disc(290, 80, 25, (4, 4, 4))
    disc(360, 80, 18, (1.5, 1.5, 1.5))
    disc(430, 80, 14, (64, 60, 50))
    for _ in range(40):
        disc(rng.uniform(0, width), rng.uniform(140, 190), rng.uniform(1, 3), (rng.uniform(2, 30),) * 3, 1)
    plate[200:240] = np.exp2(np.linspace(-8, 5, width))[:, None]
    colours = [(0.9, 0, 0), (0, 0.9, 0), (0, 0, 0.9), (-0.1, 0.8, -0.05), (1.2, -0.2, 0.02), (8, 0.4, 0.1)]
    for place, colour in enumerate([*colours, (-0.05, 0.1, 6), (0, 0, 0)]):
        plate[244:284, place * 60 : (place + 1) * 60] = colour
    plate[288:] = rng.normal(0, 0.01, (height - 288, width, 3))
    return plate.astype(np.float16).astype(np.float32)


def pushed_photograph(name: str) -> Light:
    """A photograph as scene-linear light: shadows as they are, white at 16."""
    light = srgb_to_linear(load_photograph(name, _SIDE_PX).astype(np.float32) / 255)
    return (light / (1 - (1 - 1 / _BRIGHTEST) * light)).astype(np.float32)


def file_plates(folder: Path) -> dict[str, Light]:
    """EXR files with highlights, by name; smaller, so that all fit a minute."""
    found = {}
    for path in sorted(folder.rglob("*.exr")):
        try:
            picture = read_picture(path)
        except UnreadablePictureError as error:
            print(f"{path}: {error}")
            continue
        light = picture.pixels[..., : picture.colour_channels].astype(np.float32)
        if picture.colour_channels == 3 and np.isfinite(light).all() and light.max() > 1:
            found[path.stem] = light[:_SIDE_PX, :_SIDE_PX]
    return found


def measure(rule: Rule, source: Light, before: Light, after: Light) -> dict[str, float]:
    """The figures of one rule on one plate, see the module."""
    result = rule(source, before, after)
    saw_all = np.abs(source - before) < 1e-6
    brighter = (source > 1.02) & (before > 0.999)
    asked, got = (np.log2(np.maximum(a, 1e-3) / np.maximum(b, 1e-3)) for a, b in ((after, before), (result, source)))
    kept = float((asked * got)[brighter].sum() / max((asked**2)[brighter].sum(), 1e-9)) if brighter.any() else 1.0
    config = load_config()
    to_log = lambda light: config.convert(light.copy(), "linear_rec709", LOG)  # noqa: E731
    if rule is RULES["residual"]:  # which knows that the encoding is logarithmic
        logged = to_log(source) + blend_back_change(to_log(source), to_log(before), to_log(after), logarithmic=True)
    else:
        logged = rule(to_log(source), to_log(before), to_log(after))
    from_log = config.convert(logged.astype(np.float32), LOG, "linear_rec709")
    stops = np.abs(np.log2(np.maximum(from_log, 1e-3) / np.maximum(result, 1e-3)))
    noise = np.random.default_rng(1).normal(0, 0.01, source.shape).astype(np.float32)
    lifted = rule(noise, np.clip(noise, 0, 1), np.full_like(noise, 0.2))
    return {
        "exchanged_error": float(np.abs(result - after)[saw_all].max()),
        "style_kept": kept,
        "new_negative": float(np.minimum(result - np.minimum(source, 0), 0).min()),
        "lifted_noise": float(lifted.std() / 0.2),
        "camera_log_stops": float(np.median(stops[brighter])) if brighter.any() else 0.0,
    }


def shown(light: Light, stops: float) -> NDArray[np.uint8]:
    """As sRGB at an exposure."""
    codes = np.clip(linear_to_srgb(light * np.float32(2**stops)), 0, 1) * 255
    return np.rint(codes).astype(np.uint8)


def panel(plates: dict[str, tuple[Light, Light, Light]], columns: tuple[str, ...]) -> NDArray[np.uint8]:
    """Source and rules side by side; each plate as it is above, and four stops darker below."""
    rows = []
    for source, before, after in plates.values():
        results = [source, *(RULES[name](source, before, after) for name in columns)]
        rows += [np.hstack([shown(light, stops) for light in results]) for stops in (0, -4)]
    width = rows[0].shape[1]
    rows = [cv2.resize(row, (width, round(row.shape[0] * width / row.shape[1]))) for row in rows]
    band = np.full((28, width, 3), 255, np.uint8)
    for place, name in enumerate(("source", *columns)):
        at = (8 + place * width // (1 + len(columns)), 20)
        cv2.putText(band, name.replace("_", " "), at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([band, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder of a translator in sRGB")
    parser.add_argument("--plates", type=Path, help="a folder of EXR files")
    parser.add_argument("--photograph", default="coffee")
    parser.add_argument("--picture", type=Path, help="a JPEG of source and rules; holds no plate of the folder")
    parser.add_argument("--results", type=Path, help="docs/results.json, to record the figures of the drawn plate")
    parser.add_argument("--machine", default="2 CPU cores")
    options = parser.parse_args()
    model = load_model(options.model)
    plates = {"drawn": drawn_plate(), options.photograph: pushed_photograph(options.photograph)}
    if options.plates:
        plates |= file_plates(options.plates)
    carried, drawn = {}, {}
    for name, source in plates.items():
        seen = to_working(source, source_space="linear_rec709")
        answer = np.clip(translate_unit(model, seen), 0, 1)
        carried[name] = source, srgb_to_linear(seen), srgb_to_linear(answer)
        for rule, function in RULES.items():
            figures = measure(function, *carried[name])
            drawn |= {rule: figures} if name == "drawn" else {}
            print(json.dumps({"plate": name, "rule": rule, **{key: round(value, 4) for key, value in figures.items()}}))
    if options.picture:
        own = {name: carried[name] for name in ("drawn", options.photograph)}
        picture = panel(own, ("sum_in_light", "gain_in_light", "sum_in_srgb", "residual"))
        small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(options.picture), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    if options.results:
        facts = {"command": "python benchmarks/highlights.py --model MODEL", "machine": options.machine, "seed": 0}
        facts |= {"recipe": model.card.recipe, "status": "measured", "date": date.today().isoformat()}
        record_results(
            options.results,
            [
                Result(name=f"highlights/{rule}/{key}", value=value, unit="stops" if "stops" in key else "1", **facts)
                for rule, figures in drawn.items()
                for key, value in figures.items()
            ],
        )


if __name__ == "__main__":
    main()
