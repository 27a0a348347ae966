"""What the device's sensors say, and what its owner wants done about heat.

``kernel`` reads files and is all that the supervisor itself asks; vendors' libraries and tools, each optional, are
asked by a short-lived process (``python -m fleet_agent.hardware``): one that hangs or crashes takes only that down.
"""
