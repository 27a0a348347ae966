"""``fleet-agent doctor``: what runs on this device, what does not, why, and what to do about it.

One module a topic, each with ``look(about)``. Nothing is changed, and nothing is said to the broker or the server that
a running agent could notice.
"""
