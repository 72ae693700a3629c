"""Files of version 0.1.0 stay usable: outputs and their records, jobs, models, params.yaml, projects under DVC."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML

FIXTURES = Path(__file__).parent / "fixtures" / "before_0_2"
MADE_IN = "/film"
"""The folder that the absolute paths of the fixtures begin with."""

SETTINGS = ("--back-end", "torch", "--precision", "fp32", "--device", "cpu", "--no-preview")
RECIPES = sorted(YAML(typ="safe").load(FIXTURES / "project" / "params.yaml")["train"].keys() - {"recipe", "common"})


class Case(NamedTuple):
    """A call of 0.1.0 whose output folder is kept."""

    source: str
    output: str
    options: tuple[str, ...]
    frames: int
    state_of: str

    def arguments(self) -> tuple[str, ...]:
        return ("stylize", self.source, self.output, *self.options, *SETTINGS)


def _case(name: str, options: str, frames: int, source: str = "plates", state_of: str | None = None) -> Case:
    return Case(source, f"out/{name}", tuple(options.split()), frames, state_of or f"out/{name}")


CASES = {
    "plain": _case("plain", "--model models/plain", 5),
    "normed": _case("normed", "--model models/normed", 5),
    "rich": _case(
        "rich",
        "--model models/normed --frames 1001-1006 --regions regions.yaml --elsewhere style --curve curve.csv "
        "--blend-frames 1 --missing hold --cuts auto",
        6,
        source="plates/shot.####.png",
    ),
    "swapped": _case(
        "swapped",
        "--model models/swap --style-image references/dusk.png:0.25 --style-image references/sea.png:0.75 --limit 2",
        2,
    ),
    "banked": _case(
        "banked", "--model models/swap --style-bank bank --style-image sea.png --strength 0.5 --limit 2", 2
    ),
    "movie": _case("styled.mkv", "--model models/plain", 4, source="shot.mkv", state_of="out/.styled.mkv.frames"),
}
ANSWERS = {name: "styled.mkv" if name == "movie" else name for name in CASES}

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "dvc"))
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "STYLEREEL_FLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@localhost")


@pytest.fixture
def stylereel(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs ``python -m flows`` in this process: its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["stylereel", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("flows", run_name="__main__")
        printed = capfd.readouterr()
        print(printed.out, printed.err)
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def film(tmp_path: Path, unpack_0_1_0: Callable[[str, Path], None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of plates, models and outputs, in another place and with new file times, as the working folder."""
    folder = tmp_path / "film"
    unpack_0_1_0("film", folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, unpack_0_1_0: Callable[[str, Path], None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, under git and DVC, as the working folder."""
    folder = tmp_path / "harbour"
    unpack_0_1_0("project", folder)
    unpack_0_1_0("project_cache", tmp_path / "cache")
    monkeypatch.chdir(folder)
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "As 0.1.0 left it"]):
        subprocess.run(["git", *command], check=True)
    return folder


def _move_movie(film: Path) -> None:
    """Rewrites the place in the record of the movie, which names it by its absolute path."""
    for path in film.glob("out/*/.stylereel/movie.json"):
        path.write_text(path.read_text().replace(f'"{MADE_IN}/', f'"{film}/'))


def _move_jobs(film: Path) -> None:
    """Rewrites the place in job files, as if 0.1.0 had planned them here, and their names in the records."""
    renamed = {}
    for path in list(film.glob("out/*/.stylereel/job-*.json")):
        text = path.read_text().replace(f'"{MADE_IN}/', f'"{film}/').replace(f'"{MADE_IN}"', f'"{film}"')
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        renamed[path.stem.removeprefix("job-")] = digest
        path.unlink()
        (path.parent / f"job-{digest}.json").write_text(text)
    for path in film.glob("out/*/.stylereel/records-*.jsonl"):
        texts = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
        texts = [re.sub('"job":"(.*?)"', lambda old: f'"job":"{renamed[old[1]]}"', text) for text in texts]
        path.write_text("".join(f"{hashlib.sha256(text.encode()).hexdigest()[:16]} {text}\n" for text in texts))


def _pixels(path: Path) -> np.ndarray[Any, Any]:
    if path.suffix == ".mkv":
        with av.open(str(path)) as movie:
            frames: Iterator[Any] = movie.decode(video=0)
            return np.stack([plane for frame in frames for plane in frame.to_ndarray()]).astype(int)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture.astype(int)


def _assert_same_pixels(path: Path, before: np.ndarray[Any, Any]) -> None:
    """Up to one level of 255, or four of a movie's 1,023: other machines round otherwise."""
    assert np.abs(_pixels(path) - before).max() <= (4 if path.suffix == ".mkv" else 1)


def _frames(output: Path) -> list[Path]:
    return sorted(path for path in output.iterdir() if path.is_file())


def _counts(printed: str) -> tuple[int, int, int]:
    report = json.loads(printed)
    return report["made"], report["skipped"], len(report["failed"])


@pytest.mark.parametrize("name", CASES)
def test_finished_frames_are_skipped(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    before = {path: path.read_bytes() for path in _frames(film / case.state_of)}
    assert len(before) == case.frames
    code, printed, _ = stylereel(*case.arguments(), "--json")
    assert code == 0
    assert _counts(printed) == (0, case.frames, 0)
    assert {path: path.read_bytes() for path in _frames(film / case.state_of)} == before


@pytest.mark.parametrize("name", CASES)
def test_a_frame_that_is_gone_is_made_again_the_same(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    gone = _frames(film / case.state_of)[1]
    before = _pixels(gone)
    gone.unlink()
    code, printed, _ = stylereel(*case.arguments(), "--json")
    assert code == 0
    assert _counts(printed) == (1, case.frames - 1, 0)
    assert np.abs(_pixels(gone) - before).max() <= (
        4 if name == "movie" else 1
    )  # of 1,023 and 255; other machines round


@pytest.mark.parametrize(
    ("name", "changed", "made"),
    [
        ("plain", "plates/shot.1002.png", 1),
        ("rich", "masks/shot.1001.png", 1),
        ("swapped", "plates/shot.1001.png", 1),
        ("swapped", "references/sea.png", 2),
        ("normed", "plates/shot.1005.png", 2),
    ],
)  # fmt: skip
def test_what_depends_on_a_changed_file_is_made(
    name: str, changed: str, made: int, film: Path, stylereel: Call
) -> None:
    picture = cv2.imread(str(film / changed), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    picture[:8] = 255 - picture[:8]
    cv2.imwrite(str(film / changed), picture)
    code, printed, _ = stylereel(*CASES[name].arguments(), "--json")
    assert code == 0
    assert _counts(printed) == (made, CASES[name].frames - made, 0)


@pytest.mark.parametrize("name", CASES)
def test_verify_answers(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    _move_movie(film)
    code, printed, _ = stylereel("verify", case.output, "--json")
    verdict = json.loads(printed)
    assert code == 0
    assert verdict["whole"] == case.frames
    assert [verdict[key] for key in ("missing", "changed", "unmade", "foreign", "movie")] == [[], [], [], [], None]
    first, second = _frames(film / case.state_of)[:2]
    first.write_bytes(first.read_bytes()[:-1] + b"\0")
    second.unlink()
    code, printed, error = stylereel("verify", case.output, "--json")
    assert code == 1
    verdict = json.loads(printed)
    assert (verdict["changed"], verdict["missing"]) == ([first.name], [second.name])
    assert first.name in error
    assert second.name in error


def test_verify_names_what_an_older_job_did_not_make(film: Path, stylereel: Call) -> None:
    records = film / "out/plain/.stylereel/records-fixture.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:-1]))
    code, printed, _ = stylereel("verify", "out/plain", "--json")
    assert code == 1
    assert json.loads(printed)["unmade"] == ["shot.1005.png"]


@pytest.mark.parametrize("name", CASES)
def test_whence_answers_as_before(name: str, film: Path, stylereel: Call) -> None:
    answer = json.loads((FIXTURES / "whence" / f"{ANSWERS[name]}.json").read_text())
    code, printed, _ = stylereel("whence", answer["asked"], "--json")
    assert code == 0
    _assert_same_answer(json.loads(printed), answer)


def _assert_same_answer(answer: dict[str, Any], before: dict[str, Any]) -> None:
    for key in ("asked", "flow_runs", "commits", "frames", "says", "signature", "note"):
        assert answer[key] == before[key]
    assert list(answer["models"]) == list(before["models"])
    for job, asked in before["jobs"].items():
        assert asked
        assert answer["jobs"][job].keys() == asked.keys()
        assert answer["jobs"][job]["strength"] == asked["strength"]


@pytest.mark.parametrize("name", CASES)
def test_work_reads_a_job(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    _move_jobs(film)
    (job,) = (film / case.state_of / ".stylereel").glob("job-*.json")
    code, printed, _ = stylereel("work", job, "--json")
    assert (code, _counts(printed)) == (0, (0, case.frames, 0))
    gone = _frames(film / case.state_of)[0]
    before = _pixels(gone)
    gone.unlink()
    code, printed, _ = stylereel("work", job, "--json")
    assert (code, _counts(printed)) == (0, (1, case.frames - 1, 0))
    _assert_same_pixels(gone, before)


def test_a_changed_job_is_refused(film: Path, stylereel: Call) -> None:
    (job,) = (film / "out/plain/.stylereel").glob("job-*.json")
    job.write_text(job.read_text().replace('"strength":1.0', '"strength":0.5'))
    assert stylereel("work", job)[0] == 2


@pytest.mark.parametrize("model", ["plain", "normed", "swap"])
def test_a_model_is_read_and_a_changed_card_refused(model: str, film: Path, stylereel: Call) -> None:
    references = ("--style-image", "references/sea.png") if model == "swap" else ()
    call = ("stylize", "plates", "new", "--model", f"models/{model}", "--limit", 1, *references, *SETTINGS)
    assert stylereel(*call)[0] == 0
    card = film / "models" / model / "model.json"
    card.write_text(card.read_text().replace('"channels": 4', '"channels": 5'))
    assert stylereel(*call)[0] == 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_params_of_every_recipe_are_read(recipe: str, project: Path, stylereel: Call) -> None:
    from stylegan_core.config import load_params

    params = project / "params.yaml"
    params.write_text(params.read_text().replace("  recipe: keyframe", f"  recipe: {recipe}"))
    settings = load_params(params).train()
    assert settings.recipe == recipe
    params.write_text(re.sub(rf"(?m)^  {recipe}:$", f"  {recipe}:\n    unheard_of: 1", params.read_text()))
    with pytest.raises(ValueError, match="unheard_of"):
        load_params(params)


def _stages_with_other_code() -> set[str]:
    """Of the digests that differ from the commit, where no other file does."""
    changed = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    digests = [re.fullmatch(r" M \.stylereel-code/(\w+)\.txt", line) for line in changed.splitlines()]
    assert all(digests), changed
    return {found[1] for found in digests if found}


def test_sync_changes_the_code_digests_alone(project: Path, stylereel: Call) -> None:
    before = (project / "dvc.yaml").read_bytes()
    assert stylereel("sync")[0] == 0
    assert "stylize" in _stages_with_other_code()
    assert (project / "dvc.yaml").read_bytes() == before
    (project / "plates" / "next").mkdir()
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("plates: plates/my_shot", "plates: plates/next"))
    assert stylereel("sync")[0] == 0
    assert (project / "dvc.yaml").read_bytes() == before.replace(b"plates/my_shot", b"plates/next")


def test_dvc_finds_only_the_code_changed(project: Path, stylereel: Call) -> None:
    cached = {
        "prepare": {"changed outs": {"data/prepared": "not in cache"}},
        "train": {"changed outs": {"models": "not in cache", "reports/train": "not in cache"}},
    }  # the very ones of dvc.lock, without a copy in .dvc/cache

    def status() -> dict[str, dict[str, Any]]:
        command = [sys.executable, "-m", "dvc", "status", "--json", "prepare", "train"]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return {stage: {key: found[key] for found in changes for key in found} for stage, changes in answer.items()}

    assert status() == cached
    assert stylereel("sync")[0] == 0
    for stage in _stages_with_other_code() & set(cached):
        cached[stage]["changed deps"] = {f".stylereel-code/{stage}.txt": "modified"}
    assert status() == cached


def test_a_project_answers_as_before(project: Path, stylereel: Call) -> None:
    answer = json.loads((FIXTURES / "whence" / "harbour.json").read_text())
    (model,), (commit,) = answer["models"], answer["commits"]
    code, printed, _ = stylereel("whence", answer["asked"], "--json")
    assert code == 0
    _assert_same_answer(json.loads(printed), answer)
    for asked in (commit[:10], model[:10], "models/my_shot"):
        code, printed, _ = stylereel("whence", asked, "--json")
        assert code == 0
        found = json.loads(printed)
        assert (list(found["models"]), found["commits"], len(found["frames"])) == ([model], [commit], 3)
    shutil.rmtree(project.parent / "cache")  # of a lineage file alone
    code, printed, _ = stylereel("whence", commit[:10], "--json")
    assert code == 0
    assert (list(json.loads(printed)["models"]), json.loads(printed)["frames"]) == ([model], [])
    code, printed, _ = stylereel("report")
    assert code == 0
    assert f"{json.loads(Path('reports/metrics.json').read_text())['content/psnr_db']:.2f}"[:4] in printed
