"""Chooses back end and precision of a job, by a measurement on this machine that is made once and cached."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from stylegan_core.inference.job.frame_settings import BackEnd, Precision
from stylegan_core.inference.network.backends.compile import missing_packages, runner
from stylegan_core.inference.network.cpu_pool import cores, map_one_core_each
from stylegan_core.inference.network.precision import LARGEST_DIFFERENCE_UNIT, choose_precision, has_bf16, probe_input
from stylegan_core.inference.network.tiling import Translate
from stylegan_core.inference.network.translate import signed_from_unit
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.recipes.model import Model
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.cache import cache_folder

logger = logging.getLogger(__name__)

WORTH_A_SEARCH_S = 0.1
"""Frames that torch translates faster stay with torch: the conversion costs more than a shot gains."""
LEAST_GAIN = 1.15
"""Least speed-up over torch, so that noise on a busy machine does not decide."""
_PROBE_PX = 320
"""Not the size that OpenVINO's networks are traced at for it, 64 px: one that fits that size alone is seen."""
_SLOW_S = 0.1
"""A slower probe is timed once: disturbances are short in comparison."""


@dataclass(frozen=True)
class Choice:
    """A back end and precision, with the measured speed.

    Attributes:
        back_end: that runs the network.
        precision: of its convolutions.
        megapixels_per_s: of a picture of 320 x 320.
    """

    back_end: BackEnd
    precision: Precision
    megapixels_per_s: float


def fastest(model: Model, requested: str, device: str, megapixels: float) -> Choice:
    """The fastest back end that agrees with torch to half an 8-bit code; measured once for each model and machine.

    Args:
        model: its network will run.
        requested: precision, or "auto".
        device: of the run.
        megapixels: of a frame; small ones stay with torch.
    """
    memory = cache_folder("back-ends") / f"{_key(model, requested, device)}.json"
    remembered = _remembered(memory)
    known = remembered or [_plain(model.recipe, requested, device)]
    plain = known[0]
    small = device == "cpu" and megapixels / plain.megapixels_per_s < WORTH_A_SEARCH_S
    if not small and len(known) == 1:
        if remembered:  # the machine may have been busier at that time
            plain = _plain(model.recipe, plain.precision, device)
        known.append(_better(model.recipe, plain, requested, device))
        logger.info("%s in %s runs %s fastest here", known[1].back_end, known[1].precision, model.folder)
    write_bytes_atomically(memory, json.dumps([choice.__dict__ for choice in known]).encode())
    return plain if small else known[1]


def _plain(recipe: BaseRecipe, requested: str, device: str) -> Choice:
    """Torch without compilation."""
    precision = choose_precision(recipe, requested, device)  # type: ignore[arg-type]  # "auto" or one of them
    content = probe(recipe, device)
    run = runner(recipe, Conditions(), "torch", precision)
    if device != "cpu":  # its libraries start with the first picture
        run(content)
    return Choice("torch", precision, _rate(content, _seconds(run, content, device)))


def _better(recipe: BaseRecipe, plain: Choice, requested: str, device: str) -> Choice:
    """The first available candidate with a sufficient speed-up; ``plain`` if there is none."""
    content = probe(recipe, device)
    exact = runner(recipe, Conditions(), "torch", "fp32")(content)
    for back_end, precision in _candidates(requested, plain.precision, device):
        try:
            run = runner(recipe, Conditions(), back_end, precision)
            made = run(content)
            seconds_a_picture(run, content, device)  # each thread has a set-up cost
            seconds = _seconds(run, content, device)
        except Exception as error:  # converters and compilers raise anything
            logger.info("%s does not run this network: %s", back_end, error)
            continue
        difference = difference_unit(made, exact)
        if not difference <= LARGEST_DIFFERENCE_UNIT:  # NaN is none either
            logger.info("%s in %s differs by %.2f codes of 255", back_end, precision, difference * 255)
        elif (rate := _rate(content, seconds)) > LEAST_GAIN * plain.megapixels_per_s:
            return Choice(back_end, precision, rate)
    return plain


def probe(recipe: BaseRecipe, device: str) -> torch.Tensor:
    """(1, C, 320, 320) in [-1, 1] on ``device``; moves ``recipe`` there."""
    recipe.to(device).to(memory_format=torch.channels_last).eval()
    return signed_from_unit(probe_input(recipe, _PROBE_PX)[None], device).contiguous(memory_format=torch.channels_last)


def _rate(content: torch.Tensor, seconds: float) -> float:
    return round(content.shape[-1] * content.shape[-2] / 1e6 / seconds, 4)


def difference_unit(made: torch.Tensor, exact: torch.Tensor) -> float:
    """RMS difference of pictures in [-1, 1], in unit range."""
    return float((made - exact).double().square().mean().sqrt()) / 2


def _candidates(requested: str, precision: Precision, device: str) -> Iterator[tuple[BackEnd, Precision]]:
    """Back ends and precisions to try, the fastest first."""
    if device != "cpu":
        yield "compiled", precision
        return
    if missing_packages("openvino"):
        return
    if requested != "auto":
        yield "openvino", precision
        return
    if has_bf16(device):
        yield "openvino", "bf16"
    yield "openvino", "fp32"


def _seconds(run: Translate, content: torch.Tensor, device: str) -> float:
    """Seconds for one picture; the better of two runs if they are fast."""
    seconds = seconds_a_picture(run, content, device)
    return seconds if seconds > _SLOW_S else min(seconds, seconds_a_picture(run, content, device))


def seconds_a_picture(run: Translate, content: torch.Tensor, device: str) -> float:
    """Seconds for one picture, as in a job: on a CPU one picture runs on each core.

    Args:
        run: from ``runner``.
        content: (1, C, H, W) in [-1, 1] on ``device``.
        device: of the run.
    """
    began_s = time.perf_counter()
    if device == "cpu":
        map_one_core_each(run, [content] * cores())
        return (time.perf_counter() - began_s) / cores()
    run(content)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began_s


def _key(model: Model, requested: str, device: str) -> str:
    """Cache key of the measurement: model, machine and versions."""
    norms = "frozen" if any(isinstance(m, nn.BatchNorm2d) for m in model.recipe.networks.modules()) else "own"
    other = "" if missing_packages("openvino") else importlib.metadata.version("openvino")
    versions = [norms, torch.__version__, other]
    where = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or platform.machine()
    machine = [where.replace(" ", "_").replace("/", "_"), device.replace(":", "_"), str(torch.get_num_threads())]
    return "-".join([model.card.digest[:16], requested, *machine, *(v.replace("+", "_") for v in versions)])


def _remembered(memory: Path) -> list[Choice]:
    try:
        return [Choice(**choice) for choice in json.loads(memory.read_bytes())][:2]
    except (OSError, ValueError, TypeError):
        return []
