"""Fixtures of tests and proofs: a temporary clone of the repository with commands that run in it, and a tiny model."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parent

TINY = {
    "prepare.sample.frames": 8,
    "prepare.sample.width_px": 128,
    "prepare.sample.height_px": 96,
    "train.keyframe.budget_steps": 6,
    "train.keyframe.crop_px": 32,
    "train.keyframe.batch_size": 2,
    "train.keyframe.blocks": 1,
    "train.common.validate_every_steps": 3,
    "train.common.sample_every_steps": 3,
    "train.common.log_every_steps": 2,
    "evaluate.every": 2,
}
"""Settings under which the pipeline runs in seconds; the pictures are of no quality."""


class Clone:
    """A copy of the working tree, uncommitted edits included, with its own home and cache folders."""

    tiny = TINY

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        self.environment = _environment(home)

    def at(self, root: Path) -> Clone:
        """A clone object for another folder: the same home and caches, this clone as the installed tool."""
        other = Clone(root, self.home)
        other.environment["PYTHONPATH"] = str(self.root)
        return other

    def run(self, *command: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs ``command`` in the clone; a failure shows its whole output."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def dvc(self, *arguments: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs dvc in the clone."""
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check, **more)

    def stylereel(self, *arguments: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs the command line in the clone."""
        return self.run(sys.executable, "-m", "flows", *arguments, check=check, **more)

    def settings(self, values: Mapping[str, object]) -> None:
        """Sets ``values`` in params.yaml, by dotted path, and commits."""
        yaml = YAML(typ="safe")
        document = yaml.load(self.root / "params.yaml")
        for path, value in values.items():
            *sections, name = path.split(".")
            functools.reduce(lambda section, key: section[key], sections, document)[name] = value
        yaml.dump(document, self.root / "params.yaml")
        self.run("git", "commit", "--quiet", "--all", "--message", "Settings", "--allow-empty")

    def configure(self) -> None:
        """Does what `make setup` does after installing."""
        self.run(sys.executable, "-m", "tasks.project", "configure")


def new_clone(folder: Path, name: str, origin: Path | None = None) -> Clone:
    """A clone ``folder/name``, of ``origin`` or a copy of the working tree; home and caches are in ``folder/home``."""
    root = folder / name
    clone = Clone(root, folder / "home")
    if origin is not None:
        subprocess.run(["git", "clone", "--quiet", str(origin), str(root)], check=True, env=clone.environment)
    else:
        _copy(root)
        clone.run("git", "init", "--quiet", "--initial-branch", "main")
        clone.run("git", "add", "--all")
        clone.run("git", "commit", "--quiet", "--message", "Working tree")
    clone.configure()
    return clone


@pytest.fixture
def make_clone(tmp_path: Path) -> Callable[..., Clone]:
    """``make_clone(name)`` makes a clone in the test's folder; all clones of a test share home and caches."""

    def make(name: str = "clone", origin: Path | None = None) -> Clone:
        return new_clone(tmp_path, name, origin)

    return make


@pytest.fixture
def unpack_0_1_0() -> Callable[[str, Path], None]:
    """``unpack_0_1_0(name, folder)``: files that version 0.1.0 wrote, see the README there, with new file times."""

    def unpack(name: str, folder: Path) -> None:
        source = REPOSITORY / "tests" / "fixtures" / "before_0_2" / name
        for path in filter(Path.is_file, source.rglob("*")):
            place = str(path.relative_to(source)).replace("dot_dvc", ".dvc").removesuffix(".kept")
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)

    return unpack


def _copy(root: Path) -> None:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file() and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, root / name)


def _environment(home: Path) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    dropped = ("MLFLOW_", "PREFECT_", "STYLEREEL_", "DVC_", "GIT_", "XDG_", "PYTHONPATH")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped) and k != "HOME"}
    return {
        **kept,
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "STYLEREEL_CACHE_DIR": str(home / "stylereel-cache"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **{f"GIT_{role}_NAME": "Test" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "test@localhost" for role in ("AUTHOR", "COMMITTER")},
    }


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyframe model without guide, with random weights that change pictures visibly."""
    import torch

    from stylegan_core.recipes.keyframe import Config, Recipe
    from stylegan_core.recipes.model import save_model

    folder = tmp_path_factory.mktemp("models") / "tiny"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = Config(channels=4, blocks=1, stem_px=3, downsamplings=1, mixing_taps=0, guide=False)
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
    return folder
