"""The gateway: microcontrollers on serial lines are devices of their own; it carries their bytes and decides nothing.

Loaded only by an agent that was given a line. What comes from a line is bounded here and believed nowhere; what a
microcontroller says is signed by it and verified by the server, what it is sent is verified by itself.
"""
