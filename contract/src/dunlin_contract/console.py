"""How every command ends: 0 done, 1 refused or failed with one clear line, 2 wrong usage; a traceback with --debug."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence


class CommandError(Exception):
    """Ends a command with one line for people that says what to do next. Base of each package's own errors."""

    exit_code = 1


class UsageError(CommandError):
    """The command's words or its recipe are wrong: exit code 2."""

    exit_code = 2


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None, expected: tuple[type[Exception], ...] = ()) -> int:
    """Parse ``argv``, call the chosen command's ``call(arguments)``, and turn errors into one line and an exit code.

    Each subparser sets ``call`` by ``set_defaults``. ``expected`` names error types whose text is fit for people.
    """
    parser.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    arguments = parser.parse_args(argv)
    call: Callable[[argparse.Namespace], int | None] = arguments.call
    try:
        return call(arguments) or 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        print(f"{parser.prog}: {_line(error, expected)}", file=sys.stderr)
        return error.exit_code if isinstance(error, CommandError) else 1


def _line(error: Exception, expected: tuple[type[Exception], ...]) -> str:
    if isinstance(error, (CommandError, *expected)):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"unexpected {type(error).__name__}: run again with --debug and report what it shows"
