"""Runs every command of docs/operations.md, section by section, in one project of a new user on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from proofs.local_server import wait_for
from proofs.machine import kill_everything, processes
from proofs.operations_site import ELSEWHERE, NOT_RUN, PAGE, Site
from proofs.page_commands import Shell, cron_time
from tests.tasks.notify.local_receivers import mail_receiver, webhook_receiver

INIT = "stylereel init ~/films/harbour && cd ~/films/harbour"
NEW_PICTURES = 'dvc add plates painted && git commit --all -m "New pictures" && dvc push'
NO_COMMANDS = ("inbox/", "training runs at 0.9 steps/s", "run and start it again")
"""Beginnings of indented lines that show files or output."""

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A machine without projects."""
    folder = tmp_path_factory.mktemp("reader")
    with webhook_receiver() as webhook, mail_receiver() as mail:
        yield Site(folder, webhook, mail)
    kill_everything(folder)


@pytest.fixture(scope="module")
def night(site: Site) -> dict[str, str]:
    """What the commands of "A nightly training" said; the first night was Completed."""

    def init(shell: Shell, command: str) -> str:
        said = shell.run(command)
        site.fill_project()
        return said

    def the_next_morning(shell: Shell, command: str) -> str:
        site.start_run("harbour-nightly")
        run = site.wait_for_run("harbour-nightly", [])
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        return shell.run(command)

    def change_a_picture(shell: Shell, command: str) -> str:
        plate = sorted((site.project / "plates/harbour").iterdir())[-1]
        pixels = cv2.imread(str(plate))
        cv2.imwrite(str(plate), np.ascontiguousarray(pixels[::-1]))
        return shell.run(command)

    return site.run_section(
        "A nightly training",
        {INIT: init, "stylereel status": the_next_morning, NEW_PICTURES: change_a_picture},
    )


def test_each_indented_line_is_known() -> None:
    """A line that is neither run nor named would be a command that nobody tries."""
    assert not TESTED.keys() & ELSEWHERE.keys()
    assert PAGE.commands.keys() == {*TESTED, *ELSEWHERE}
    unknown = [line for line in PAGE.others if not line.startswith(NO_COMMANDS)]
    assert unknown == []
    commands = {command for section in PAGE.commands.values() for command in section}
    assert NOT_RUN.keys() <= commands, "not on the page any more"


def test_a_schedule_that_notifies_in_six_commands(site: Site, night: dict[str, str]) -> None:
    block = PAGE.commands["A nightly training"]
    block = block[: block.index("stylereel status")]
    commands = [part for line in block for part in line.split(" && ") if not part.startswith("cd ")]
    assert len(commands) <= 6, commands
    assert "next: " in night['stylereel schedule "0 2 * * *" --timezone Europe/Berlin']
    assert "Completed" in night["stylereel status"]
    assert site.webhook.texts == [], "nothing to report"

    before = site.runs("harbour-nightly")
    site.start_run("harbour-nightly", ref="no-such-branch")
    run = site.wait_for_run("harbour-nightly", before)
    assert run["state_type"] == "FAILED"
    (text,) = site.webhook.texts
    assert text.startswith("[harbour] pipeline failed"), text
    assert "no-such-branch" in text


def test_results_of_the_night_in_a_worktree(site: Site, night: dict[str, str]) -> None:
    shell = site.shell()
    shell.run("git worktree add --detach ../night runs/nightly && cd ../night && dvc pull")
    frames = sorted(path.name for path in (shell.folder / "out/stylized/harbour").glob("*.png"))
    assert frames == sorted(path.name for path in (site.project / "plates/harbour").iterdir())
    assert (shell.folder / "reports/review.html").is_file()


def test_experiments_by_hand(site: Site, night: dict[str, str]) -> None:
    queue = "dvc exp run -S train.keyframe.l1_weight=10 --queue && dvc queue start"

    def until_done(shell: Shell, command: str) -> str:
        said = shell.run(command)
        log = site.folder / "queue.log"

        def ended() -> bool:
            log.write_text(status := shell.run("dvc queue status"))
            assert "Failed" not in status, status
            return "Success" in status

        wait_for("the queued experiment", ended, 1500, log)
        return said + shell.run("dvc queue stop")

    def look(shell: Shell, command: str) -> str:
        address = f"http://127.0.0.1:{command.rpartition(' ')[2]}/api/2.0/mlflow/experiments/get-by-name"
        found: list[str] = []

        def shown() -> bool:
            try:
                with urllib.request.urlopen(f"{address}?experiment_name=stylereel.harbour", timeout=10) as answer:
                    found.append(json.load(answer)["experiment"]["name"])
            except OSError:
                return False
            return True

        site.serve(shell, command, "MLflow answers", shown)
        return found[0]

    said = site.run_section("Experiments by hand", {queue: until_done, "mlflow ui": look})
    assert "style/swd" in said["dvc exp show"]
    differing = site.shell().run("stylereel experiments --csv")
    assert "train.recipe" in differing
    assert "train.keyframe.l1_weight" in differing
    assert "reports/metrics.json" in said["dvc metrics show"]
    assert "reports/metrics.json" in said["dvc metrics diff runs/nightly"], "the experiment has another weight"
    assert said["mlflow ui"] == "stylereel.harbour"
    site.shell().run("git restore --staged --worktree params.yaml && dvc repro")


def test_on_demand(site: Site, night: dict[str, str]) -> None:
    site.new_frames(site.folder / "sh010")
    before = site.runs("harbour-stylize")
    site.run_section("On demand")
    run = site.wait_for_run("harbour-stylize", before)
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert len(list((site.folder / "painted-sh010").glob("*.png"))) == 8


def test_promotion(site: Site, night: dict[str, str]) -> None:
    if not (site.project / "models").exists():  # alone: the experiments make a second version, too
        site.shell().run("stylereel sync && dvc repro && dvc exp run --temp -S train.keyframe.l1_weight=10 train")
    said = site.run_section("Promotion")
    for command, text in said.items():
        assert command.startswith("dvc get") or "harbour" in text, command
    results = site.project.with_name("harbour-runs")
    assert (site.folder / "sea/model.json").read_bytes() == (results / "models/harbour/model.json").read_bytes()


def test_a_hot_folder(site: Site, night: dict[str, str]) -> None:
    inbox = site.folder / "film/inbox"

    def watch(shell: Shell, command: str) -> str:
        output = site.folder / ("film/painted" if "--output" in command else "film/done")
        site.new_frames(inbox / "promoted" / output.name)
        marker = output / f"promoted/{output.name}.done.txt"
        return site.serve(shell, command, "the shot is done", marker.is_file)

    def look(shell: Shell, command: str) -> str:
        before = site.runs("harbour-inbox")
        said = shell.run(command)
        run = site.wait_for_run("harbour-inbox", before)
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        return said

    shell = site.shell()
    shell.run(site.own(PAGE.commands["On demand"][0]))
    said = site.run_section(
        "A hot folder",
        {
            "stylereel inbox /mnt/film/inbox": watch,
            "stylereel inbox /mnt/film/inbox --output /mnt/film/painted --settle-s 120": watch,
            "prefect deployment run stylize-inbox/PROJECT-inbox --param folder=/mnt/film/inbox": look,
        },
        shell,
    )
    assert "0 shots finished" in said["stylereel inbox /mnt/film/inbox --once"]
    site.pause("harbour-inbox")


def test_notifications(site: Site, night: dict[str, str]) -> None:
    add = "stylereel notify add --webhook https://hooks.slack.com/services/..."
    worker = "prefect worker start --pool stylereel --work-queue PROJECT-watch"

    def add_another(shell: Shell, command: str) -> str:
        return shell.run(f"{command}-2")  # the first one is a receiver since "A nightly training"

    def until_a_watch_ran(shell: Shell, command: str) -> str:
        site.start_run("harbour-watch")  # else in 15 minutes
        return site.serve(shell, command, "a watch", lambda: site.runs("harbour-watch"))

    shell = site.shell()
    shell.run(site.own(PAGE.commands["On demand"][0]))
    messages = len(site.webhook.texts)
    said = site.run_section("Notifications", {add: add_another, worker: until_a_watch_ran}, shell)
    assert "[harbour] test of notifications" in site.webhook.texts[messages]
    assert "test of notifications" in site.mail.mails[0]["Subject"]
    assert said["stylereel notify test"].count("ok ") == 3
    assert "s3cr3t" not in "".join(said.values())
    run = site.wait_for_run("harbour-watch", [])
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    site.pause("harbour-watch")
    assert "created the automation" in said["stylereel notify automations"]
    assert site.server.post("/automations/filter", {}) == []


def test_serving_a_model(site: Site, night: dict[str, str]) -> None:
    shutil.copy(sorted((site.project / "plates/harbour").iterdir())[0], site.project / "plate.png")
    _export, serve, ask = PAGE.commands["Serving a model over HTTP"]
    shell = site.shell()

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{site.serving_port}/ping", timeout=10):
                pass
        except OSError:
            return False
        shell.run(site.own(ask))
        return True

    def begin(shell: Shell, command: str) -> str:
        return site.serve(shell, command, "an answer", answers)

    site.run_section("Serving a model over HTTP", {serve: begin, ask: lambda *_: "while it was served"}, shell)
    painted = cv2.imread(str(site.project / "painted.png"))
    assert painted.shape == cv2.imread(str(site.project / "plate.png")).shape
    for name in ("plate.png", "painted.png"):
        (site.project / name).unlink()


def test_retention(site: Site, night: dict[str, str]) -> None:
    said = site.run_section("Retention, backup, restore")
    assert "--yes" in said["stylereel gc"], "it only lists"


def test_a_busy_machine(site: Site, night: dict[str, str]) -> None:
    site.run_section("A machine that is also used by others")
    assert len(list((site.project / "out").rglob("*.png"))) >= 8


def test_provenance(site: Site, night: dict[str, str]) -> None:
    results = site.project.with_name("harbour-runs")
    card = json.loads((results / "models/harbour/model.json").read_text())
    site.replaced["3f9a21c0"] = card["digest"][:8]
    shell = site.shell()
    shell.run("cd ../harbour-runs")
    for said in site.run_section("Provenance", shell=shell).values():
        assert card["digest"][:8] in said


def test_overnight_jobs(site: Site, night: dict[str, str]) -> None:
    for said in site.run_section("Overnight jobs").values():
        assert "exit code" not in said


def test_backup_and_restore(site: Site, night: dict[str, str]) -> None:
    backups = site.folder / "backup"
    backups.mkdir()
    restore = "stylereel restore /mnt/backup/harbour-20261201-021500.tar"
    pull = "dvc pull plates.dvc painted.dvc"

    def lose_the_project(shell: Shell, command: str) -> str:
        (file,) = backups.iterdir()
        shell.run("dvc push && stylereel down && cd ~")
        site.project.rename(site.folder / "lost")
        return shell.run(command.replace("harbour-20261201-021500.tar", file.name))

    def pull_there(shell: Shell, command: str) -> str:
        shell.run(f"cd {site.project}")
        return shell.run(command)

    (cron,) = (command for command in PAGE.commands["Backup and restore"] if cron_time(command))

    def a_month_later(shell: Shell, command: str) -> str:
        (file,) = backups.iterdir()
        old = file.with_name("harbour-20250101-021500.tar")
        shutil.copy(file, old)
        os.utime(old, (time.time() - 40 * 86400,) * 2)
        said = shell.run_as_cron(command)
        assert not old.exists()
        return said

    said = site.run_section("Backup and restore", {restore: lose_the_project, pull: pull_there, cron: a_month_later})
    assert "the project harbour as of" in said[restore]
    assert re.search(r"harbour-nightly|0 2 \* \* \*|next", said["stylereel up && stylereel status"])
    assert len(list((site.project / "plates/harbour").iterdir())) == 8
    site.shell().run("stylereel down")
    assert processes(site.folder) == []


TESTED: dict[str, Any] = {
    "A nightly training": night,
    "Experiments by hand": test_experiments_by_hand,
    "On demand": test_on_demand,
    "Promotion": test_promotion,
    "A hot folder": test_a_hot_folder,
    "Notifications": test_notifications,
    "Serving a model over HTTP": test_serving_a_model,
    "Retention, backup, restore": test_retention,
    "A machine that is also used by others": test_a_busy_machine,
    "Provenance": test_provenance,
    "Overnight jobs": test_overnight_jobs,
    "Backup and restore": test_backup_and_restore,
}
"""Sections of the page, and what runs their commands."""
