"""What the tests of train share: settings and prepared data of two tiny shots, and a run of the stage."""

from contextlib import contextmanager

import numpy as np

from stylegan_core.config import parse_params
from stylegan_core.data.manifest import Box, ManifestRow, as_manifest, write_manifest
from stylegan_core.data.store import StoreWriter
from stylegan_core.training.observer import Observers
from tasks.stages.train import mark_finished, train_model
from tasks.stages.training_plan import plan_trainings

TINY = {"channels": 4, "blocks": 1, "discriminator_channels": 4, "crop_px": 32, "batch_size": 2, "budget_steps": 6}
COMMON = {"accelerator": "cpu", "precision": "fp32", "log_every_steps": 2, "validate_every_steps": 4}


def settings(shots=("sea", "hill"), common=None, overrides=None, **config):
    listed = [
        {"name": n, "plates": f"{n}/plates", "painted": f"{n}/painted", "train": (overrides or {}).get(n, {})}
        for n in shots
    ]
    train = {"recipe": "keyframe", "common": COMMON | (common or {}), "keyframe": TINY | config}
    return parse_params({"prepare": {"source": "shots"}, "shots": listed, "train": train})


def write_prepared(folder, shots=("sea", "hill"), frames=2, extra_test_row=False):
    """Pairs of noise and its negative, with a corner held out."""
    rows = []
    with StoreWriter(folder / "store", "srgb", "uint8", "digest of a config") as writer:
        for shot in shots:
            for frame in range(1, frames + 1):
                rng = np.random.default_rng([len(shot), frame])
                plate = rng.random((64, 64, 3), np.float32)
                for domain, pixels in (("content", plate), ("style", 1 - plate)):
                    rows.append(
                        ManifestRow(
                            f"{shot}/{domain}/{frame}.png",
                            domain=domain,
                            shot=shot,
                            frame=frame,
                            pair=f"{shot}/{frame}",
                            split="train",
                            held_out=Box(40, 40, 24, 24) if domain == "style" else None,
                            width_px=64,
                            height_px=64,
                            sample=writer.add(pixels),
                        )
                    )
    if extra_test_row:
        rows.append(ManifestRow("t.png", domain="truth", shot="sea", frame=9, split="test"))
    write_manifest(as_manifest(rows), folder / "manifest.csv")


class Watching:
    """Counts the steps that were really taken."""

    def __init__(self):
        self.started = {}

    @contextmanager
    def __call__(self, job):
        outer = self

        class Observer:
            def start(self, total_steps, resumed_from, machine):
                outer.started[job.training.name] = resumed_from

        yield Observers([Observer()])


def run(project, params, prepared="prepared"):
    """The stage without its tracker; returns from which step each training began."""
    watching = Watching()
    plan = plan_trainings(params, project / prepared)
    for job in plan.jobs:
        train_model(job, project / prepared, project / "models", project / "reports", watching)
    mark_finished(plan, project / "models", project / "reports")
    return watching.started


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
