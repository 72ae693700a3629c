"""``stylereel features``: the features of a picture in a layer of an extractor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

_EXAMPLES = """
stylereel features photo.jpg features.png
stylereel features photo.jpg channels.png --layer block2_conv1 --show grid
stylereel features photo.jpg features.png --extractor vgg19 --weights ~/vgg19-dcbb9e9d.pth
"""


def register(command: Callable[..., Callable[[Callable[..., object]], object]]) -> None:
    """Registers the command with the decorator of the command line."""
    command("features", _EXAMPLES)(features)


def features(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="Any picture.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A picture file to write.")],
    layer: Annotated[str, typer.Option(help="block1_conv1, fine, to block5_conv2, coarse.")] = "block5_conv2",
    extractor: Annotated[
        str, typer.Option(help="random_filters, efficientnet_lite0, vgg16_hed, vgg19.")
    ] = "random_filters",
    weights: Annotated[
        Path | None, typer.Option(help="torchvision's state dict of VGG19. Default: its cache, or a download.")
    ] = None,
    show: Annotated[str, typer.Option(help="mean (over channels) or grid (of channels).")] = "mean",
    enlarge: Annotated[bool, typer.Option(help="Enlarge a mean to the picture's own size.")] = True,
) -> Any:
    """Write a layer's features of a picture as a picture: the content that the recipe `perceptual` keeps."""
    from tasks.models.features import write_feature_picture

    channels, height, width = write_feature_picture(
        picture, output, layer=layer, extractor=extractor, weights=weights, arrangement=show, enlarge=enlarge
    )
    typer.echo(f"{output}: {layer} of {extractor}, {channels} channels of {width} x {height}")
