"""Errors of the agent; each text is one line that says what to do next.

CommandError               (dunlin_contract.console: ends a command with its exit code)
 └─ AgentError
     ├─ SetupError         the state folder, the arguments or the machine are not ready
     ├─ EnrolmentError     the server did not take the device in, or is not the one the token names
     └─ StorageError       the disk is full or does not take what must be kept
"""

from dunlin_contract.console import CommandError
from dunlin_contract.limits import LIMITS


class AgentError(CommandError):
    """Base of the agent's own errors."""


class SetupError(AgentError):
    """The state folder, the arguments or the machine are not ready."""


class EnrolmentError(AgentError):
    """The server did not take the device in, or is not the one the token names."""


class StorageError(AgentError):
    """The disk is full or does not take what must be kept; ``code`` names which for the server."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def line(text: str) -> str:
    """``text`` as one printable line short enough for the wire."""
    flat = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    return flat.encode()[: LIMITS.text_bytes].decode(errors="ignore")
