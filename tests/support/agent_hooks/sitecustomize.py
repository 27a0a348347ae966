"""Loaded by Python itself into an agent that a journey starts with this folder on PYTHONPATH.

DUNLIN_TEST_TRACE   file: one line for every object asked for (`ask HEX`) and every chunk receipt that is on the disk
                    (`receipt MODEL SLOT PLACE`), in the order in which they happened.
DUNLIN_TEST_KILL    `PHASE`: the agent kills itself (SIGKILL) the moment that a state with this phase is in the journal
                    and nothing of it has been acted on. `before:PHASE`: the moment before it is written. Once only:
                    the file DUNLIN_TEST_KILLED tells that it has been.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TRACE = os.environ.get("DUNLIN_TEST_TRACE")
_KILL = os.environ.get("DUNLIN_TEST_KILL", "")
_KILLED = Path(os.environ.get("DUNLIN_TEST_KILLED", os.devnull))


def _trace(line: str) -> None:
    if _TRACE:
        descriptor = os.open(_TRACE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)


def _die(phase: str) -> None:
    _KILLED.write_text(phase)
    os.kill(os.getpid(), signal.SIGKILL)


def _patch_journal(journal: Any) -> None:
    before, _, wanted = _KILL.rpartition(":")
    armed = bool(_KILL) and not _KILLED.exists()
    transaction, model, chunk = journal.Journal.transaction, journal.Write.model, journal.Write.chunk
    receipts: list[str] = []
    entered: set[str] = set()
    last: dict[str, str] = {}

    @contextmanager
    def traced(self: Any) -> Iterator[Any]:
        receipts.clear()
        entered.clear()
        with transaction(self) as write:
            yield write
        for line in receipts:
            _trace(line)
        if armed and not before and wanted in entered:
            _die(wanted)

    def written(self: Any, name: str, state: Any) -> None:
        if state is not None:
            phase, previous = str(state.phase), last.get(name)
            # An agent that starts writes down again where it stands: that is not the phase being entered.
            if phase != previous and (phase != "committed" or previous is not None):
                entered.add(phase)
            last[name] = phase
            if armed and before and wanted in entered:
                _die(wanted)
        model(self, name, state)

    def receipted(self: Any, name: str, slot: str, place: int) -> None:
        receipts.append(f"receipt {name} {slot} {place}")
        chunk(self, name, slot, place)

    journal.Journal.transaction, journal.Write.model, journal.Write.chunk = traced, written, receipted


def _patch_paho(client: Any) -> None:
    subscribe = client.Client.subscribe

    def traced(self: Any, topic: Any, *args: Any, **kwargs: Any) -> Any:
        topics = [topic] if isinstance(topic, str) else [one if isinstance(one, str) else one[0] for one in topic]
        for one in topics:
            if "/obj/" in one:
                _trace(f"ask {one.rpartition('/')[2]}")
        return subscribe(self, topic, *args, **kwargs)

    client.Client.subscribe = traced


if _TRACE or _KILL:
    import paho.mqtt.client

    import fleet_agent.journal

    _patch_journal(fleet_agent.journal)
    _patch_paho(paho.mqtt.client)
