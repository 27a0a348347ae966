"""Dunlin on one machine: broker, server and devices, started by their own commands as a user would start them.

`python -m demo` (or `make demo`) tells the whole story of a fleet in two minutes and proves every claim on the devices.
The tests in `tests/journeys` use the same launcher (`demo.fleet`) to break things on purpose.
"""
