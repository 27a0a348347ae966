"""What every Dunlin program agrees on, in bytes.

Import the module you need (``from dunlin_contract import cose``): nothing is imported here, so that the agent's
supervisor can use topics and records without loading ``cryptography``.
"""
