"""Sources and sinks: this device asks its own models about pictures and files, and hands the results on.

A process of its own, started only where ``agent.toml`` has a ``[[source]]``, and one more for each camera: a driver
that hangs holds up nothing else. To the local API it is an app like any other.
"""
