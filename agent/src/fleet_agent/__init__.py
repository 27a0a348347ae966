"""The on-device daemon: see ``agent/README.md`` for its processes and folders."""

__version__ = "0.1.0"
