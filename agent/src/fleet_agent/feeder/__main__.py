"""``python -m fleet_agent.feeder``, started by the supervisor with its control socket as descriptor 3."""

import os

from fleet_agent import ipc
from fleet_agent.feeder.running import serve

if __name__ == "__main__":
    serve(ipc.enter_child(), os.getppid())
    # Without waiting for threads: one may be inside a camera's driver.
    os._exit(0)
