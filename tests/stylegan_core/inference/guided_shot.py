"""A small shot with painted key frames, and a guided model with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from stylegan_core.inference.job.plan import Plan, write_plan
from stylegan_core.inference.job.report import ChunkReport
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.recipes.model import Model, load_model, save_model
from tests.stylegan_core.inference.planning.requests import plan_selected

HEIGHT_PX, WIDTH_PX, STEP_PX = 64, 96, 4


def texture(width_px: int, seed: int) -> np.ndarray:
    """(HEIGHT_PX, width, 3) uint8, smooth enough that flow follows it."""
    noise = np.random.default_rng(seed).random((HEIGHT_PX, width_px, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


@dataclass(frozen=True)
class GuidedShot:
    """A camera that pans by ``STEP_PX`` a frame, over one picture and over the painting of it.

    Attributes:
        root: holds plates and painted.
        frames: their number, from 1.
    """

    root: Path
    frames: int

    @property
    def plates(self) -> Path:
        """Folder of the frames."""
        return self.root / "plates"

    @property
    def painted(self) -> Path:
        """Folder of the key frames."""
        return self.root / "painted"

    def seen(self, number: int, seed: int) -> np.ndarray:
        """What a frame shows of the picture of a seed."""
        left = STEP_PX * (number - 1)
        return texture(WIDTH_PX + STEP_PX * self.frames, seed)[:, left : left + WIDTH_PX]

    def paint(self, number: int, seed: int = 1) -> Path:
        """Paints a frame; another seed is another painting."""
        path = self.painted / f"key_{number:03d}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), self.seen(number, seed))
        return path

    def plan(self, model: Model, output: str = "out", **options: object) -> Plan:
        """A plan with the key frames."""
        settings = {"key_frames": self.painted, "cuts": "none", "back_end": "torch", "precision": "fp32"} | options
        return plan_selected(model, self.plates, self.root / output, **settings)


def make_shot(root: Path, frames: int, keys: tuple[int, ...]) -> GuidedShot:
    """Writes a shot below ``root``."""
    shot = GuidedShot(root, frames)
    shot.plates.mkdir(parents=True)
    for number in range(1, frames + 1):
        cv2.imwrite(str(shot.plates / f"shot.{number:04d}.png"), shot.seen(number, 0))
    for number in keys:
        shot.paint(number)
    return shot


def save_guided_model(folder: Path, *, guide: bool = True) -> Model:
    """A guided model that changes pictures visibly, or one that takes no guide."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = Config(channels=4, blocks=1, stem_px=3, downsamplings=1, mixing_taps=3, guide=guide)
        networks = {k: v + 0.05 * torch.randn_like(v) for k, v in Recipe(config).networks.state_dict().items()}
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder,
        recipe="keyframe",
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
    return load_model(folder)


def stylize(plan: Plan, model: Model) -> list[str]:
    """Works on a plan; the names of the frames that were made."""
    write_plan(plan)
    with Stylizer(plan.job, model) as work:
        reports: list[ChunkReport] = [work.chunk(index) for index in range(len(plan.job.chunks()))]
    assert not [failure for report in reports for failure in report.failed]
    return sorted(name for report in reports for name in report.made)


def pixels(plan: Plan) -> dict[str, np.ndarray]:
    """The outputs of a job, by name."""
    return {task.output: cv2.imread(str(plan.job.output_path(task))) for task in plan.job.frames}
