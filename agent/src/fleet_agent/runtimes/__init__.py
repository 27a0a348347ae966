"""Model runtimes behind one Protocol (``protocol``), each an optional extra that is imported only inside a worker.

``installed`` answers which of them this machine has without importing any.
"""
