"""``[results]``: how much of results and captures waits on this device for the fleet."""

from fleet_agent.config.file import File
from fleet_agent.results.policy import Caps

_MOST_MB = 1 << 20
_MOST_H = 10 * 365 * 24
_MOST_PER_HOUR = 3_600_000


def read(file: File) -> Caps:
    """What the file says of the store.

    Raises:
        ConfigError: a number is out of bounds.
    """
    table = file.table("results")
    caps = Caps()
    return Caps(
        most_bytes=file.check.number(table, "most_mb", 1, _MOST_MB) << 20 if "most_mb" in table else caps.most_bytes,
        most_age_s=file.check.number(table, "most_age_h", 1, _MOST_H) * 3600
        if "most_age_h" in table
        else caps.most_age_s,
        per_hour=file.check.number(table, "per_hour", 1, _MOST_PER_HOUR) if "per_hour" in table else caps.per_hour,
    )
