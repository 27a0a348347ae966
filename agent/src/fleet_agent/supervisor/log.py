"""Lines for the operator of the device, to standard error (systemd keeps them). No payload ever goes into one."""

import sys

from fleet_agent.errors import line


def log(text: str) -> None:
    """Write one line."""
    print(line(text), file=sys.stderr, flush=True)


def log_failure(error: BaseException) -> None:
    """Where an unexpected error arose, without its text: that could hold what was sent to us."""
    at, trace = "", error.__traceback__
    while trace is not None:
        at = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    log(f"unexpected {type(error).__name__} at {at}; going on")
