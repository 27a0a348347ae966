"""``agent.toml``: what the owner of this device decides, and no server can change.

``words`` is its vocabulary, ``file`` reads it, and each other module holds one table's meaning. The supervisor imports
this: it stays light.
"""
