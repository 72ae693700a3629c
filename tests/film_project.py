"""A project of two tiny shots with models of random weights, for tests of promotion: MLflow is a real SQLite store."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from ruamel.yaml import YAML

from stylegan_core.data.manifest import ManifestRow, as_manifest, write_manifest
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.storage.hashing import sha256_of

SHOTS = ("hill", "sea")
FRAMES, KEY = 7, 3
UNTOUCHED = 1.0


class Film:
    """A project whose stages are said to be up to date.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        self.set_params({})
        (root / "project.yaml").write_text("name: film\nid: 0123456789ab\n")
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        (root / ".gitignore").write_text("/*\n!/params.yaml\n")
        subprocess.run(["git", "add", "params.yaml"], cwd=root, check=True)
        subprocess.run(["git", *identity, "commit", "-qm", "start"], cwd=root, check=True)
        self.prepare()

    def set_params(self, promote: Mapping[str, object]) -> None:
        """Writes params.yaml with a section ``promote``."""
        shots = [{"name": n, "plates": f"{n}/plates", "painted": f"{n}/painted"} for n in SHOTS]
        document = {
            "prepare": {"source": "shots"},
            "shots": shots,
            "train": {"recipe": "keyframe", "keyframe": {"guide": False}},
            "promote": dict(promote),
        }
        with (self.root / "params.yaml").open("w") as file:
            YAML(typ="safe").dump(document, file)

    def prepare(self, truth: Sequence[str] = SHOTS, seed: int = 0) -> None:
        """Writes pictures and what prepare says about them; ``truth`` names the shots whose paintings are known."""
        rows, shots = [], {}
        for shot in SHOTS:
            for frame in range(1, FRAMES + 1):
                rng = np.random.default_rng([seed, len(shot), frame])
                plate = cv2.GaussianBlur(rng.integers(0, 256, (40, 56, 3), np.uint8), (0, 0), 1.5)
                roles = {"plates": plate}
                if frame == KEY or shot in truth:
                    roles["painted" if frame == KEY else "truth"] = cv2.medianBlur(plate, 5)
                for role, pixels in roles.items():
                    path = f"{shot}/{role}/{frame:04d}.png"
                    write_picture(self.root / path, Picture(pixels))
                    domain = {"plates": "content", "painted": "style", "truth": "truth"}[role]
                    pair = f"{shot}/{frame}" if frame == KEY else ""
                    split = "train" if frame == KEY else "test"
                    digest = sha256_of(self.root / path)
                    rows.append(
                        ManifestRow(path, digest, domain=domain, shot=shot, frame=frame, pair=pair, split=split)
                    )
            shots[shot] = {"plates": f"{shot}/plates", "painted": f"{shot}/painted"}
        prepared = self.root / "data" / "prepared"
        write_manifest(as_manifest(rows), prepared / "manifest.csv")
        (prepared / "shots.json").write_text(json.dumps(shots))

    def train(self, seed: int, shots: Sequence[str] = SHOTS, *, register: bool = True) -> dict[str, str]:
        """Writes models of random weights; returns their digests by training."""
        from tasks.shared import tracking

        digests = {}
        for shot in shots:
            digests[shot] = digest = write_model(self.root / "models" / shot, seed + 100 * SHOTS.index(shot))
            if register:
                run = tracking.start_training_run(shot, settings={})
                assert tracking.register_model(run, self.root / "models" / shot, training=shot, digest=digest)
        return digests

    def evaluate(self, **swd: float | Sequence[float]) -> None:
        """Writes reports with these patch distances: of all frames of a shot, or of each."""
        figures: dict[str, float] = {}
        lines: list[dict[str, object]] = []
        frames = [f for f in range(1, FRAMES + 1) if f != KEY]
        for shot, given in swd.items():
            values = [given] * len(frames) if isinstance(given, float | int) else list(given)
            lines.append({"subject": shot, "frame": KEY, "picture": f"{KEY:04d}.png", "truth/swd": ""})
            for frame, value in zip(frames, values, strict=True):
                lines.append({"subject": shot, "frame": frame, "picture": f"{frame:04d}.png", "truth/swd": value})
            figures |= {f"shot/{shot}/truth/swd": float(np.mean(values))}
            figures |= {f"shot/{shot}/truth/swd_unstylized": UNTOUCHED}
        figures["truth/swd"] = float(np.mean([v for n, v in figures.items() if n.endswith("/swd")]))
        figures["truth/swd_unstylized"] = UNTOUCHED
        table = self.root / "reports" / "evaluate" / "frames.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        (self.root / "reports" / "metrics.json").write_text(json.dumps(figures))

    def promote(self) -> None:
        """The pipeline's steps between evaluate and stylize."""
        from tasks.promotion.gate import run_gate
        from tasks.promotion.promote import promote_candidates

        promote_candidates(self.root, run_gate(self.root))

    def promoted(self, alias: str = "promoted") -> dict[str, str]:
        """Digests of the versions that an alias names, by training."""
        from tasks.shared.registry import aliased_version

        found = {shot: aliased_version(shot, alias) for shot in SHOTS}
        return {shot: version.digest for shot, version in found.items() if version is not None}

    def decisions(self) -> list[tuple[str, str]]:
        """Trainings and outcomes in promotions.jsonl."""
        path = self.root / ".stylereel" / "promotions.jsonl"
        lines = path.read_text().splitlines() if path.is_file() else []
        return [(decision["training"], decision["outcome"]) for decision in map(json.loads, lines)]


def write_model(folder: Path, seed: int) -> str:
    """Writes a model of random weights, the same for the same seed; returns its digest."""
    import torch

    from stylegan_core.recipes.keyframe import Config, Recipe
    from stylegan_core.recipes.model import save_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = Config(channels=4, blocks=1, stem_px=3, downsamplings=1, mixing_taps=0, guide=False)
        networks = {k: v + 0.02 * torch.randn_like(v) for k, v in Recipe(config).networks.state_dict().items()}
    weights = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    facts = {"recipe": "keyframe", "working_space": "srgb", "sample_type": "uint8", "chosen": "last"}
    card = save_model(
        folder, config=config, steps=1, images_seen=8, last=weights, best=weights, networks=networks, **facts
    )
    return card.digest
