"""The deployment of a hot folder on a real Prefect server: its schedule stylizes a shot once and reports a bad one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proofs.local_server import PREFECT, Server, free_port, running, wait_for

WITHIN_S = 300


@pytest.mark.timeout(1200)
def test_the_schedule_of_the_inbox(
    make_clone: Callable[..., Any], make_plates: Callable[..., Path], tiny_model_folder: Path, tmp_path: Path
) -> None:
    clone = make_clone()
    shutil.copytree(tiny_model_folder, clone.root / "models/oil")
    for shot in ("sh010", "sh020"):
        shutil.copytree(make_plates(4, ("png",)), tmp_path / "inbox/oil" / shot)
    (tmp_path / "inbox/oil/sh020/shot.0002.png").write_bytes(b"no picture")
    server = Server(f"http://127.0.0.1:{free_port()}/api")
    environment = {**clone.environment, "PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": server.api}
    port = server.api.rpartition(":")[2].partition("/")[0]
    log = tmp_path / "worker.log"
    serve = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", port]
    with running(serve, tmp_path, environment, tmp_path / "server.log"):
        wait_for("the server is up", server.is_up, 180, tmp_path / "server.log")
        for arguments in (
            ("work-pool", "create", "stylereel", "--type", "process"),
            ("deploy", "--name", "stylereel-inbox", "--interval", "15", "--param", f"folder={tmp_path / 'inbox'}"),
        ):
            clone.run(PREFECT, "--no-prompt", *arguments, **environment)
        (deployment,) = server.post("/deployments/filter", {})
        active = [entry["schedule"]["interval"] for entry in deployment["schedules"] if entry["active"]]
        assert active == [15.0], "the file's own schedule is not active"
        with running([PREFECT, "worker", "start", "--pool", "stylereel", "--limit", "1"], clone.root, environment, log):

            def ended() -> list[dict[str, Any]]:
                runs = server.flow_runs({"flows": {"name": {"any_": ["stylize-inbox"]}}})
                return [run for run in runs if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED")]

            done = tmp_path / "done/oil"
            wait_for("both shots are marked", lambda: len(list(done.glob("*.txt"))) == 2, WITHIN_S, log)
            marked = len(ended())
            wait_for("two more looks", lambda: len(ended()) >= marked + 2, WITHIN_S, log)
            states = [run["state_type"] for run in ended()]
    assert sorted(path.name for path in done.glob("*.txt")) == ["sh010.done.txt", "sh020.failed.txt"]
    assert states.count("FAILED") == 1, states
    assert set(states) == {"COMPLETED", "FAILED"}
    assert "made:      4" in (done / "sh010.done.txt").read_text()
    lines = [
        json.loads(line) for path in done.glob("*/.stylereel/log-*.jsonl") for line in path.read_text().splitlines()
    ]
    assert len(lines) == 8, "no frame was looked at twice"
