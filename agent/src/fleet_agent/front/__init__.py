"""The local API: Open Inference Protocol v2 over loopback HTTP and a Unix socket; routes requests to workers.

It copies bytes and never computes with them, so it needs no numpy and stays up when a model's runtime crashes.
"""
