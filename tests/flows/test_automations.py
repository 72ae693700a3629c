"""The automation of a project: one that is replaced, with a block for each webhook, and the flag that watch reads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from flows.automations import create_automation, remove_automation
from tasks.notify.receivers import Mailbox, Webhook, add_receiver, read_settings
from tasks.shared.errors import UsageError

URLS = ("https://chat.host/s3cr3t-1", "https://chat.host/s3cr3t-2")


class _Server:
    """Automations and blocks by name."""

    def __init__(self) -> None:
        self.down = False
        self.automations: list[Any] = []
        self.blocks: dict[str, Any] = {}
        self.deployments = ["film-nightly", "film-of-my-own"]

    def read_deployments(self, deployment_filter: Any) -> list[Any]:
        assert deployment_filter.tags.all_ == ["project-id:0123456789ab"]
        return [SimpleNamespace(name=name) for name in self.deployments]

    def api_healthcheck(self) -> Exception | None:
        return ConnectionError("refused") if self.down else None

    def create_automation(self, automation: Any) -> None:
        self.automations.append(SimpleNamespace(id=uuid4(), **dict(automation)))

    def read_automations_by_name(self, name: str) -> list[Any]:
        return [automation for automation in self.automations if automation.name == name]

    def delete_automation(self, automation_id: UUID) -> None:
        self.automations = [automation for automation in self.automations if automation.id != automation_id]

    def read_block_document_by_name(self, name: str, block_type: str) -> Any:
        assert block_type == "custom-webhook"
        if name not in self.blocks:
            raise ObjectNotFound(Exception("404"))
        return SimpleNamespace(id=name)

    def delete_block_document(self, block_id: str) -> None:
        del self.blocks[block_id]

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> _Server:
    server = _Server()

    def save(block: CustomWebhookNotificationBlock, name: str, overwrite: bool) -> UUID:
        server.blocks[name] = block
        return uuid4()

    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda **_: server)
    monkeypatch.setattr(CustomWebhookNotificationBlock, "save", save)
    return server


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("WEBHOOK_URL", "SMTP_URL", "MAIL_TO"):
        monkeypatch.delenv(f"STYLEREEL_{name}", raising=False)
    (tmp_path / "project.yaml").write_text("name: My_Film\nid: 0123456789ab\n")
    return tmp_path


def test_it_posts_late_and_crashed_runs_to_each_webhook(film: Path, server: _Server) -> None:
    for url in URLS:
        add_receiver(film, Webhook(webhook=SecretStr(url)))
    add_receiver(film, Mailbox(mail_to="a@b.c", smtp=SecretStr("smtp://127.0.0.1")))
    for _ in range(2):
        assert create_automation(film) == "My_Film: late or crashed run"
    (automation,) = server.automations
    assert automation.trigger.expect == {"prefect.flow-run.Late", "prefect.flow-run.Crashed"}
    assert automation.trigger.match_related.root["prefect.resource.name"] == ["film-nightly", "film-of-my-own"]
    assert len(automation.actions) == 2
    assert sorted(server.blocks) == ["stylereel-my-film-1", "stylereel-my-film-2"]
    sent = [block._build_request_args("body", "subject") for block in server.blocks.values()]
    assert [(request["url"], request["json"]) for request in sent] == [(url, {"text": "subject\nbody"}) for url in URLS]
    assert "s3cr3t" not in repr(list(server.blocks.values()))
    assert read_settings(film).server_reports_late
    remove_automation(film)
    assert (server.automations, server.blocks) == ([], {})
    assert not read_settings(film).server_reports_late
    assert len(read_settings(film).receivers) == 3


def test_what_it_needs(film: Path, server: _Server) -> None:
    with pytest.raises(UsageError, match="notify add --webhook"):
        create_automation(film)
    add_receiver(film, Webhook(webhook=SecretStr(URLS[0])))
    server.down = True
    with pytest.raises(UsageError, match="does not answer"):
        create_automation(film)
    assert not read_settings(film).server_reports_late
    server.down, server.deployments = False, []
    with pytest.raises(UsageError, match="stylereel schedule"):
        create_automation(film)
    assert not read_settings(film).server_reports_late
