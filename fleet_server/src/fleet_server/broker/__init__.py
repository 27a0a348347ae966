"""The broker: Mosquitto 2.0 with a generated configuration, run as a child process.

:mod:`config` decides what the broker's two files say; :mod:`process` writes them, starts the broker and stops it.
"""

from fleet_server.broker.config import SERVER_NAME, BrokerSettings, access_list, configuration
from fleet_server.broker.process import Broker, write

__all__ = ["SERVER_NAME", "Broker", "BrokerSettings", "access_list", "configuration", "write"]
