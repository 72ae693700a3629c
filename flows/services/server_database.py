"""Address of the database of the Prefect server that ``stylereel up`` starts."""

from __future__ import annotations

from tasks.backup.create import ServerDatabase


def server_database() -> ServerDatabase:
    """As Prefect's settings name it: ``PREFECT_SERVER_DATABASE_CONNECTION_URL``, else prefect.db in its home."""
    from prefect.settings import Settings

    url = Settings().server.database.connection_url  # read anew, also the profile
    return ServerDatabase(url if isinstance(url, str) else url.get_secret_value())
