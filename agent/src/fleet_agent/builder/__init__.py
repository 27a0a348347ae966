"""The process that builds an engine of a model: for minutes, in the background, in a worker's sandbox.

It has the model in sealed memory and gives the engine back the same way; no key, no network.
"""
