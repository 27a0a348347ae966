"""Kinds of targets, one module each."""
