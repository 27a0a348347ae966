"""Scenarios that every kind of device passes: firmware on this machine, emulated boards, real ones, Linux agents."""
