"""How a model on the device gets from one release to the next: a pure machine, ``(state, event) -> (state, effects)``.

``state`` says what is remembered, ``events`` what may happen, ``effects`` what is to be done, ``machine`` decides and
``probation`` judges a release that serves on trial. Nothing here touches a clock, a socket or a disk.
"""
