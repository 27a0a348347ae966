"""Who is there: every worker of the device by its slot, with its copies, and which slot of a model serves."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from fleet_agent.supervisor.front import Numbers
from fleet_agent.supervisor.instance import Instance, place, total


@dataclass(slots=True)
class Roster:
    """``slots``: the first worker of each release, by model and place. ``routes``: the slot of each model to serve.

    ``ways``: how the release of a model runs that requests go to now, where not the usual way.
    """

    slots: dict[tuple[str, str], Instance] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)

    def at(self, model: str, slot: str | None, way: str = "") -> Instance | None:
        """The first worker of a slot, the usual one or another way's."""
        return self.slots.get((model, place(slot or "", way)))

    def usual(self, model: str) -> Instance | None:
        """The first worker of the slot that the model is routed to, whether or not another way stands in for it."""
        return self.at(model, self.routes.get(model))

    def serving(self, model: str) -> Instance | None:
        """The worker that requests for the model go to, or the first of several."""
        return self.at(model, self.routes.get(model), self.ways.get(model, ""))

    def others(self, model: str, slot: str) -> list[Instance]:
        """Workers that run the slot's release another way."""
        return [one for one in self.slots.values() if one.model == model and one.slot.name == slot and one.way]

    def every(self) -> Iterator[Instance]:
        """All workers, copies too."""
        for first in self.slots.values():
            yield from (first, *first.copies)

    def by_number(self, number: int) -> Instance | None:
        """The worker that the front knows by this number, copy or not."""
        return next((one for one in self.every() if one.number == number), None)

    def current(self, instance: Instance) -> bool:
        """Whether it still is the first worker of its slot."""
        return self.at(instance.model, instance.slot.name, instance.way) is instance

    def first(self, copy: Instance) -> Instance | None:
        """The worker beside which ``copy`` runs; None for one that is no copy."""
        return next((one for one in self.slots.values() if copy in one.copies), None)

    def numbers(self, model: str, slot: str | None) -> Numbers:
        """What the slot's workers have answered since the release was loaded."""
        served = Numbers()
        usual = self.at(model, slot)
        for first in (usual, *self.others(model, slot or "")) if usual is not None else ():
            for one in (first, *first.copies):
                served = total(served, one.served)
        return served
