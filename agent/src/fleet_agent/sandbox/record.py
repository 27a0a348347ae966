"""What came of a sandbox, as it is reported: by a worker to the supervisor, in ``status``, by ``doctor``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TEXT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Record:
    """``user``: the number it runs as when that is not the supervisor's own. ``landlock``: ABI, 0 without.

    ``lacking``: why a part is missing, by its name.
    """

    user: int | None = None
    landlock: int = 0
    seccomp: bool = False
    lacking: Mapping[str, str] = field(default_factory=dict)

    @property
    def tier(self) -> str:
        """``user+landlock+seccomp``, or what there is of it; ``none``."""
        parts = [("user", self.user is not None), ("landlock", self.landlock > 0), ("seccomp", self.seccomp)]
        return "+".join(name for name, there in parts if there) or "none"

    def to_map(self) -> dict[str, object]:
        """For a control message and for JSON."""
        return {
            "tier": self.tier,
            "user": self.user,
            "landlock": self.landlock,
            "seccomp": self.seccomp,
            "lacking": dict(self.lacking),
        }

    @classmethod
    def from_map(cls, value: Any) -> "Record | None":
        """Read back; None for anything else (whoever sent it may be under attack)."""
        match value:
            case {
                "user": int() | None as user,
                "landlock": int(landlock),
                "seccomp": bool(seccomp),
                "lacking": dict(lacking),
            } if len(lacking) <= 8:
                texts = {str(name)[:_TEXT_CHARS]: str(text)[:_TEXT_CHARS] for name, text in lacking.items()}
                return cls(user, landlock, seccomp, texts)
            case _:
                return None
