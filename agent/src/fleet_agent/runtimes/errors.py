"""Errors of model runtimes; ``code`` is what the supervisor reports, the text one line without model bytes.

ModelError             base
 ├─ RuntimeMissingError   the runtime is not on this device
 ├─ ModelLoadError        the runtime does not take the model
 ├─ IoMismatchError       the model's tensors are not those of the signed manifest
 └─ ModelRunError         the runtime failed while running
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

_TEXT_CHARS = 240
# Runs that no sentence holds: what a runtime prints when it puts raw bytes into its message.
_BLOB = re.compile(r"(?:\\x[0-9a-fA-F]{2}){2,}|[A-Za-z0-9+/=]{80,}")


class ModelError(Exception):
    """Base of everything that goes wrong between a model and its runtime."""

    code = "model"


class RuntimeMissingError(ModelError):
    """The runtime is not on this device."""

    code = "runtime-missing"


class ModelLoadError(ModelError):
    """The runtime does not take the model."""

    code = "load-failed"


class IoMismatchError(ModelError):
    """The model's tensors are not those of the signed manifest."""

    code = "io-mismatch"


class ModelRunError(ModelError):
    """The runtime failed while running."""

    code = "run-failed"


def scrub(error: BaseException | str) -> str:
    """One printable line of what a runtime said, capped: some put the whole model into an exception's text."""
    if isinstance(error, str):
        kind, text = "", error
    else:
        # Cut before any work: the text may be as long as the model.
        kind, text = f"{type(error).__name__}: ", str(error)[: 8 * _TEXT_CHARS]
    line = " ".join(text.split("\n", 1)[0].split()) if text.strip() else "no reason given"
    line = "".join(char if " " <= char <= "~" else "?" for char in _BLOB.sub("...", line))
    return (kind + line)[:_TEXT_CHARS]


@contextmanager
def runtime_call(kind: type[ModelError], what: str) -> Iterator[None]:
    """Turn whatever a runtime raises inside the block into ``kind("what: reason")``, scrubbed and without its chain.

    What we raise there ourselves says what it is already.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - runtimes raise types of their own making, and bare RuntimeErrors
        raise kind(f"{what}: {scrub(error)}") from None
