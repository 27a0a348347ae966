"""``python -m fleet_agent.worker``, started by the supervisor with its control socket as descriptor 3."""

import os

from fleet_agent import ipc
from fleet_agent.worker.control import serve
from fleet_agent.worker.data import exit_when_broken

if __name__ == "__main__":
    exit_when_broken()
    serve(ipc.enter_child())
    # Without waiting for threads: one may be inside the runtime, and nothing here needs tidying.
    os._exit(0)
