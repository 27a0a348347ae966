"""What goes wrong between a source and its sinks; each text is one line for the owner of the device.

FeederError
 ├─ SourceError   the source gives nothing for now: tried again after growing pauses
 ├─ LaterError    the model or a sink takes nothing for now: the same input may be tried again
 └─ NeverError    this input, or this result, will not be taken however often it is tried
"""


class FeederError(Exception):
    """Base of the feeder's own errors."""


class SourceError(FeederError):
    """The source gives nothing for now."""


class LaterError(FeederError):
    """Not taken for now."""


class NeverError(FeederError):
    """Not taken, ever."""
