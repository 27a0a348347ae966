"""Errors of the fleet server.

    ServerError
    ├── ConfigError        the installation or its settings are not usable          (CLI exit 1)
    ├── BusyError          the database is locked, or a lock is held elsewhere       503
    ├── InvalidError       the request says something that cannot be done            422
    ├── NotFoundError      no such thing                                             404
    ├── ConflictError      it is already so, or contradicts what is stored           409
    ├── DeniedError        known, but not allowed                                    403
    ├── SignInError        not known, or wrong secret                                401
    ├── ThrottledError     too many attempts                                         429
    └── TooLargeError      more bytes than the limit                                 413

Each message is one line that says what to do next. `rule` carries the contract's rule where one was broken.
"""

import difflib
from collections.abc import Iterable


class ServerError(Exception):
    """Base of the server's errors. `status` is the HTTP status both listeners answer with."""

    status = 500
    title = "Server error"

    def __init__(self, detail: str, *, rule: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.rule = rule


class ConfigError(ServerError):
    title = "Not usable"


class BusyError(ServerError):
    status = 503
    title = "Busy"


class InvalidError(ServerError):
    status = 422
    title = "Invalid"


class NotFoundError(ServerError):
    status = 404
    title = "Not found"


class ConflictError(ServerError):
    status = 409
    title = "Conflict"


class DeniedError(ServerError):
    status = 403
    title = "Not allowed"


class SignInError(ServerError):
    status = 401
    title = "Sign in"


class ThrottledError(ServerError):
    status = 429
    title = "Too many attempts"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TooLargeError(ServerError):
    status = 413
    title = "Too large"


def suggest(word: str, known: Iterable[str]) -> str:
    """What may have been meant by an unknown `word`: the nearest known one, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
