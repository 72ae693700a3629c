"""Cron schedules: check and next times, computed as the Prefect server does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tasks.shared.errors import UsageError


@dataclass(frozen=True)
class Cron:
    """A cron schedule.

    Attributes:
        text: five fields, such as "0 2 * * *".
        timezone: IANA name, such as Europe/Berlin.
    """

    text: str
    timezone: str

    def next_times(self, number: int = 3) -> list[datetime]:
        """The next times at which it fires, in its time zone.

        Raises:
            UsageError: the text is no cron schedule, or the time zone is unknown.
        """
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(f"unknown time zone {self.timezone}: write its IANA name, such as Europe/Berlin") from None
        from prefect.server.schemas.schedules import CronSchedule  # takes seconds

        try:
            schedule = CronSchedule(cron=self.text, timezone=self.timezone)
        except ValueError:
            raise UsageError(
                f'"{self.text}" is not a cron schedule: write minute, hour, day, month and weekday, such as "0 2 * * *"'
            ) from None
        return [time.astimezone(zone) for time in asyncio.run(schedule.get_dates(n=number))]
