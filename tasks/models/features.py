"""The task features: a layer's features of a picture, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from tasks.shared.errors import UsageError


def write_feature_picture(
    picture: Path, output: Path, *, layer: str, extractor: str, weights: Path | None, arrangement: str, enlarge: bool
) -> tuple[int, int, int]:
    """Writes a layer's features as a grey picture.

    Args:
        picture: any that stylereel reads.
        output: ends in .png, .tif, .jpg or .webp.
        layer: such as "block5_conv2".
        extractor: "random_filters" or "vgg19".
        weights: of VGG19; None is torchvision's own.
        arrangement: "mean" or "grid", see ``feature_picture``.
        enlarge: to the picture's own size, every value a square; a mean alone.
    Returns:
        Channels, height and width of the layer.
    Raises:
        UsageError: an unknown extractor, layer, arrangement or suffix, the output is the input, or the weights of
            VGG19 are missing.
        UnreadablePictureError: the picture is damaged.
    """
    import cv2
    import torch

    from stylegan_core.choices import ExtractorName
    from stylegan_core.features.extractors import LAYERS, load_extractor
    from stylegan_core.features.feature_picture import Arrangement, feature_picture, layer_features
    from stylegan_core.frames.base.sniff import SUFFIX_FORMATS
    from stylegan_core.frames.colour.convert import to_working
    from stylegan_core.frames.pictures.encode import write_picture
    from stylegan_core.frames.pictures.picture import Picture
    from stylegan_core.frames.pictures.read import read_picture

    for given, known, option in (
        (extractor, get_args(ExtractorName), "--extractor"),
        (arrangement, get_args(Arrangement), "--show"),
    ):
        if given not in known:
            raise UsageError(f"{option} {given}: expected one of {', '.join(known)}")
    if layer not in LAYERS[extractor]:  # type: ignore[index]
        raise UsageError(f"--layer {layer}: expected one of {', '.join(LAYERS[extractor])}")  # type: ignore[index]
    if output.suffix.lower() not in SUFFIX_FORMATS:
        raise UsageError(f"{output.name} must end in one of {', '.join(SUFFIX_FORMATS)}")
    if output.exists() and output.samefile(picture):
        raise UsageError(f"{output} is the input picture: choose another output")
    if picture.is_dir():
        raise UsageError(f"{picture} is a folder: name one picture")
    source = read_picture(picture)
    try:
        found = load_extractor(extractor, weights, torch.device("cpu"))
        features = layer_features(found, layer, to_working(source))
    except ValueError as error:
        raise UsageError(str(error)) from error
    pixels = feature_picture(features, arrangement)  # type: ignore[arg-type]
    if enlarge and arrangement == "mean":
        size_px = (source.width_px, source.height_px)
        pixels = cv2.resize(pixels, size_px, interpolation=cv2.INTER_NEAREST)[..., None]
    output.parent.mkdir(parents=True, exist_ok=True)
    write_picture(output, Picture(pixels))
    channels, height, width = features.shape
    return channels, height, width
