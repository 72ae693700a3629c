"""Build step of prefect.yaml: ``prefect deploy`` refuses names that belong to another project."""

from __future__ import annotations

from flows.services.deployments import NIGHTLY, STYLIZE, refuse_name_clash
from flows.services.prefect_api import PrefectApi
from flows.services.work_queue import claim_queues
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import PROJECT_FILE, read_identity
from tasks.shared.versioning import project_root


def claim_names(project: str, project_id: str) -> dict[str, str]:
    """Claims deployments and work queues for the project of the working folder.

    Args:
        project: name of the project in prefect.yaml.
        project_id: its id there.

    Returns:
        ``directory``, for the pull step ``checkout_step.enter_checkout``.

    Raises:
        UsageError: project.yaml has others, or the names belong to another project. Prefect prints it with a traceback;
            a SystemExit, which it would print as one line, ends the thread of the step, and Prefect waits for ever.
    """
    root = project_root()
    identity = read_identity(root)
    if (project, project_id) != (identity.name, identity.id):
        raise UsageError(
            f"prefect.yaml is of the project {project} ({project_id}), {PROJECT_FILE} of {identity.name} "
            f"({identity.id}): write the name and id of {PROJECT_FILE} into prefect.yaml, everywhere"
        )
    from prefect.settings import PREFECT_API_URL

    if url := PREFECT_API_URL.value():  # also of a profile
        api = PrefectApi(str(url).rstrip("/"))
        for deployment in (NIGHTLY, STYLIZE):
            refuse_name_clash(api, identity, deployment)
        claim_queues(api, identity)
    return {"directory": str(root)}
