"""How workers leave: with what they have still to answer, or at once; and who waits until their memory is free."""

from collections.abc import Callable
from functools import partial

from fleet_agent.supervisor.front import Front
from fleet_agent.supervisor.instance import Instance
from fleet_agent.supervisor.roster import Roster


class Leaving:
    """Takes workers off the roster and ends them."""

    def __init__(self, roster: Roster, front: Front) -> None:
        self._roster = roster
        self._front = front
        self._retiring: dict[str, dict[int, Instance]] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def retire(self, model: str, place: str) -> None:
        """Let the workers at a place finish what they have and end them."""
        instance = self._roster.slots.pop((model, place), None)
        if instance is None:
            return
        instance.take_step()
        for one in (instance, *instance.copies):
            self._retiring.setdefault(model, {})[one.number] = one
            # Not before the process has ended is there room for the next.
            end = partial(one.end, partial(self._retired, one))
            if one.attached:
                self._front.detach(one.number, end)
            else:
                end()

    def drop(self, model: str, place: str) -> None:
        """End the workers at a place at once."""
        instance = self._roster.slots.pop((model, place), None)
        if instance is None:
            return
        instance.take_step()
        for one in (instance, *instance.copies):
            one.end()
            if one.attached:
                self._front.forget(one.number)

    def kill(self, model: str) -> None:
        """End every worker of the model at once, with what it is doing."""
        for key in [key for key in self._roster.slots if key[0] == model]:
            self.drop(*key)
        # Also those that were still to finish what they have: they hold the model in memory.
        for instance in self._retiring.pop(model, {}).values():
            instance.end()
        self._waiting.pop(model, None)

    def when_gone(self, model: str, call: Callable[[], None]) -> None:
        """Call once workers of the model that are to finish have left; now, if there are none."""
        if self._retiring.get(model):
            self._waiting.setdefault(model, []).append(call)
        else:
            call()

    def _retired(self, instance: Instance) -> None:
        leaving = self._retiring.get(instance.model, {})
        leaving.pop(instance.number, None)
        if not leaving:
            for call in self._waiting.pop(instance.model, []):
                call()
