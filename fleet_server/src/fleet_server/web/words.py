"""Numbers and states as people read them. Pure; the templates' filters."""

import datetime
import re
from collections.abc import Mapping

from markupsafe import Markup

SECOND_STEPS = ((60, "s", 1), (3600, "min", 60), (86_400, "h", 3600))

_HEX = re.compile(r"[0-9a-f]{16,}")

TONES = {
    # devices
    "online": "ok",
    "pending": "warn",
    "active": "ok",
    "rejected": "bad",
    # phases of an update
    "idle": "mute",
    "planned": "info",
    "downloading": "info",
    "verified": "info",
    "staged": "info",
    "loaded": "info",
    "testing": "info",
    "trial": "info",
    "probation": "info",
    "committed": "ok",
    "rolled-back": "bad",
    "refused": "bad",
    # rollouts and parts in them
    "running": "info",
    "soaking": "info",
    "paused": "warn",
    "reverting": "warn",
    "reverted": "bad",
    "aborted": "bad",
    "completed": "ok",
    "waiting": "mute",
    "offline": "mute",
    "trying": "info",
    "comparing": "info",
    "assigned": "info",
    "succeeded": "ok",
    "failed": "bad",
    "dropped": "mute",
    # wipes
    "draft": "warn",
    "sent": "info",
    "done": "ok",
    "cancelled": "mute",
    "superseded": "mute",
    "ended": "mute",
    # drift
    "stable": "ok",
    "watch": "warn",
    "drifted": "bad",
    "too few": "mute",
    # what a device does about heat
    "normal": "ok",
    "reduced": "warn",
}


KEYSTORES = {
    "file": "a file that only its agent may read",
    "tpm2": "a TPM 2.0",
    "pkcs11": "a PKCS#11 token",
    "systemd-creds": "systemd credentials",
    "flash": "its own flash",
}
MODEL_STORES = {
    "no-swap": "memory, on a device without swap",
    "locked": "memory that is locked against swapping",
    "swappable": "memory that may be swapped to disk",
    "plain-flash": "flash, in the clear",
}


def keystore(word: str) -> str:
    """Where a device's keys lie."""
    return KEYSTORES[word]


def model_store(word: str) -> str:
    """Where the plaintext of a device's models lies."""
    return MODEL_STORES[word]


def tone(word: str) -> str:
    """Colour of a state: ok, info, warn, bad or mute."""
    return TONES.get(word, "mute")


def count(value: float) -> str:
    """12345 as 12 345, with a narrow no-break space."""
    return f"{value:,.0f}".replace(",", "\u202f")


def size(value: float | None) -> str:
    """Bytes with a decimal unit: 26 kB, 1.5 MB."""
    if value is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def binary(value: float | None) -> str:
    """Bytes of memory or flash with a binary unit, in which such parts are sold: 256 KiB, 1.5 MiB."""
    if value is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{_short(value)} {unit}"
        value /= 1024
    return f"{_short(value)} TiB"


def celsius(value: int | None) -> str:
    """Tenths of a degree: 61.5 °C."""
    return "–" if value is None else f"{value / 10:.1f} °C"


def watts(value: int | None) -> str:
    """Milliwatts in W."""
    return "–" if value is None else f"{_short(value / 1000)} W"


def span(seconds: float | None) -> str:
    """A length of time in its largest fitting unit: 45 s, 10 min, 2.5 h, 3 d."""
    if seconds is None:
        return "–"
    for limit, unit, divisor in SECOND_STEPS:
        if seconds < limit:
            return f"{_short(seconds / divisor)} {unit}"
    return f"{_short(seconds / 86_400)} d"


def micros(value: float | None) -> str:
    """Microseconds in µs, ms or s."""
    if not value:
        return "–"
    if value < 1000:
        return f"{value:.0f} µs"
    return f"{_short(value / 1000)} ms" if value < 1_000_000 else f"{_short(value / 1_000_000)} s"


def share(part: float, whole: float) -> str:
    """A percentage without needless digits."""
    return f"{_short(100 * part / whole)} %" if whole else "–"


def short(digest: str | None) -> str:
    """The first digits of a digest: enough to tell releases apart by eye."""
    return digest[:12] if digest else "–"


def actor(name: str) -> str:
    """Who did something: a person by name, anything else with its kind."""
    kind, _, rest = name.partition(":")
    return rest if kind == "user" else f"{kind} {brief(rest)}".strip()


def brief(name: str) -> str:
    """A name as it is; a digest or a random id by its first digits."""
    return name[:12] if _HEX.fullmatch(name) else name


def facts(detail: Mapping[str, object]) -> str:
    """The detail of an audit row on one line."""
    return ", ".join(_fact(key, value) for key, value in detail.items() if value not in ({}, [], "", None))


def _fact(key: str, value: object) -> str:
    if key == "text":
        return str(value)
    if isinstance(value, dict):
        value = " ".join(f"{name}={inner}" for name, inner in value.items())
    elif isinstance(value, list):
        value = " ".join(map(str, value))
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    elif isinstance(value, float):
        # Audit rows hold no other fractions than moments.
        value = datetime.datetime.fromtimestamp(value, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{key.replace('_', ' ')} {brief(str(value))}"


def ago(time: float | None, now: float) -> Markup:
    """How long ago, or until, as a <time> whose title is the moment itself (UTC)."""
    if time is None:
        return Markup("<span class=faint>never</span>")
    moment = datetime.datetime.fromtimestamp(time, datetime.UTC)
    title = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), title, relative(time - now)
    )


def relative(seconds: float) -> str:
    """Seconds from now, in words; the same words as static/app.js keeps up to date."""
    distance = abs(seconds)
    if distance < 5:
        return "just now"
    for limit, divisor, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h"), (float("inf"), 86_400, "d")):
        if distance < limit:
            text = f"{round(distance / divisor)} {unit}"
            break
    return f"in {text}" if seconds > 0 else f"{text} ago"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
