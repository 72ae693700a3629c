"""Automations of a Prefect server that post late and crashed runs to the webhooks, while this machine is off.

They replace the reports of `stylereel notify watch` about the same runs, so that nobody reads them twice.
"""

from __future__ import annotations

import itertools
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.server_state import read_deployments
from tasks.notify.receivers import Webhook, read_settings, receivers, write_settings
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import read_identity

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

_EVENTS = ("prefect.flow-run.Late", "prefect.flow-run.Crashed")
_BODY = """\
{{ deployment.name }}: run {{ flow_run.name }} is {{ flow_run.state.name }}{% if flow_run.state.message %}: \
{{ flow_run.state.message }}{% endif %}
{{ flow_run|ui_url }}"""
_NOT_IN_A_BLOCK_NAME = re.compile(r"[^a-z0-9-]+")


def create_automation(root: Path) -> str:
    """Creates or replaces the automation of the project, and leaves late and crashed runs to it.

    Args:
        root: the project.

    Returns:
        Name of the automation.

    Raises:
        UsageError: no webhook is configured, the server does not answer, or it has no deployment of the project.
    """
    webhooks = [receiver for receiver in receivers(root) if isinstance(receiver, Webhook)]
    if not webhooks:
        raise UsageError("automations post to webhooks: add one with `stylereel notify add --webhook URL`")
    from prefect.client.orchestration import get_client
    from prefect.events.actions import SendNotification
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    name = _automation_name(root)
    with get_client(sync_client=True) as client:
        _refuse_without_server(client)
        deployments = sorted(deployment.name for deployment in read_deployments(client, root))
        if not deployments:
            raise UsageError("the server has no deployment of this project: run `stylereel schedule` first")
        _remove(client, root)
        subject = f"[{read_identity(root).name}] from Prefect"
        actions = [
            SendNotification(block_document_id=_save_block(root, number, webhook), subject=subject, body=_BODY)
            for number, webhook in enumerate(webhooks, 1)
        ]
        trigger = EventTrigger(
            expect=set(_EVENTS),
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "deployment", "prefect.resource.name": deployments},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        )
        client.create_automation(AutomationCore(name=name, trigger=trigger, actions=actions))
    write_settings(root, read_settings(root).model_copy(update={"server_reports_late": True}))
    return name


def remove_automation(root: Path) -> str:
    """Removes the automation and its blocks; `stylereel notify watch` reports late and crashed runs again.

    Raises:
        UsageError: the server does not answer.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        _remove(client, root)
    return _automation_name(root)


def _remove(client: SyncPrefectClient, root: Path) -> None:
    from prefect.exceptions import ObjectNotFound

    _refuse_without_server(client)
    write_settings(root, read_settings(root).model_copy(update={"server_reports_late": False}))
    for automation in client.read_automations_by_name(_automation_name(root)):
        client.delete_automation(automation.id)
    with suppress(ObjectNotFound):  # after the last one
        for number in itertools.count(1):
            block = client.read_block_document_by_name(_block_name(root, number), "custom-webhook")
            client.delete_block_document(block.id)


def _refuse_without_server(client: SyncPrefectClient) -> None:
    if client.api_healthcheck() is not None:
        raise UsageError("the Prefect server does not answer: start it with `stylereel up`, or correct PREFECT_API_URL")


def _automation_name(root: Path) -> str:
    return f"{read_identity(root).name}: late or crashed run"


def _block_name(root: Path, number: int) -> str:
    return _NOT_IN_A_BLOCK_NAME.sub("-", f"stylereel-{read_identity(root).name.lower()}-{number}")


def _save_block(root: Path, number: int, webhook: Webhook) -> UUID:
    """Saves the webhook on the server, its URL as a secret that the pages of the server do not show."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    block = CustomWebhookNotificationBlock(
        name=_block_name(root, number),
        url="{{address}}",
        json_data={"text": "{{subject}}\n{{body}}"},
        secrets={"address": webhook.secret},
    )
    saved: UUID = block.save(_block_name(root, number), overwrite=True)
    return saved
