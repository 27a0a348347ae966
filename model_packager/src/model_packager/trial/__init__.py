"""Trying a model before it is signed: by the very runtime, in a child process that may crash, hang or be killed."""
