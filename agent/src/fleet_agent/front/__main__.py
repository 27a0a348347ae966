"""``python -m fleet_agent.front``, started by the supervisor with its control socket as descriptor 3."""

import asyncio
import os

from fleet_agent import ipc
from fleet_agent.front.control import Control


async def _main() -> None:
    await Control(ipc.enter_child()).run()
    # The supervisor is gone: nothing that still runs here has anyone to answer to.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
