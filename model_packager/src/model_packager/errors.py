"""Errors of the packager; each text is one line that says what to do next.

CommandError (dunlin_contract.console)
 ├─ UsageError               exit 2
 │   └─ RecipeError          model.toml says something that cannot be
 └─ PackagerError            exit 1
     ├─ ModelRefusedError    the model does not run, or not as its recipe says
     ├─ SampleError          a sample does not match the model's inputs
     ├─ KeyFileError         a key is missing, of another role, or does not open
     ├─ OutputError          the bundle cannot be written
     └─ ServerError          the server cannot be reached, or refused
"""

from dunlin_contract.console import CommandError, UsageError


class RecipeError(UsageError):
    """The recipe says something that cannot be: a typo, a wrong type, a file that is not there."""


class PackagerError(CommandError):
    """Base of everything that fails although the command's words were right."""


class ModelRefusedError(PackagerError):
    """The model does not run, or is not what the recipe says it is."""


class SampleError(PackagerError):
    """A sample does not match the model's inputs."""


class KeyFileError(PackagerError):
    """A key is missing, of another role, or does not open."""


class OutputError(PackagerError):
    """A file cannot be written; nothing half-written is left."""


class ServerError(PackagerError):
    """The server cannot be reached, or refused what it was sent."""
