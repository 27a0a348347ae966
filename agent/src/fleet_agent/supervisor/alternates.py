"""Another way to run the release that serves: its cheaper variant, or an engine that was built of its model.

The usual worker stays loaded. The other one takes all steps of a candidate beside it, the golden self-test too, and
only then do requests go to it; when it is to leave, or dies, they go back to the usual one, and none is lost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fleet_agent.supervisor.front import Front
from fleet_agent.supervisor.instance import Done, Engine, Instance, Outcome
from fleet_agent.supervisor.leaving import Leaving
from fleet_agent.supervisor.loading import Loading
from fleet_agent.supervisor.roster import Roster


@dataclass(frozen=True, slots=True)
class Parts:
    """What alternates are made with. ``lost``: hears of one that served and is gone: model, way, why; ``ended``: of a
    model whose release that serves is to be another one, or none.
    """

    front: Front
    numbers: Iterator[int]
    roster: Roster
    leaving: Leaving
    loading: Loading
    attach: Callable[[Instance], None]
    lost: Callable[[str, str, str], None]
    ended: Callable[[str], None]


class Alternates:
    """At most one a model that serves, and one more on its way."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def way(self, model: str) -> str:
        """How the release that serves runs now; empty: the usual way."""
        return self._parts.roster.ways.get(model, "")

    def steady(self, model: str, slot: str) -> bool:
        """Whether the slot's usual worker takes requests, and none is on its way beside it."""
        parts = self._parts
        usual, serving = parts.roster.at(model, slot), parts.roster.serving(model)
        others = [one for one in parts.roster.others(model, slot) if one is not serving]
        return usual is not None and usual is parts.roster.usual(model) and usual.attached and not others

    def bring(self, model: str, way: str, done: Done, engine: Engine | None = None) -> None:
        """Run the release that serves another way, from the moment that a worker has proven that it can."""
        parts = self._parts
        usual = parts.roster.usual(model)
        if usual is None or not usual.attached:
            done(Outcome(False, "not-serving", f"{model} does not serve yet"))
            return
        settings = replace(usual.settings, workers=1)
        instance = Instance(next(parts.numbers), model, usual.slot, usual.copy, settings, way=way, engine=engine)
        parts.leaving.drop(model, instance.place)
        parts.roster.slots[model, instance.place] = instance

        def staged(outcome: Outcome) -> None:
            if outcome.ok:
                parts.leaving.when_gone(model, lambda: parts.loading.load(instance, loaded))
            else:
                done(outcome)

        def loaded(outcome: Outcome) -> None:
            if outcome.ok:
                parts.loading.test(instance, lambda: None, tested)
            else:
                # Without room what was staged is kept for another try, which there will not be.
                parts.leaving.drop(model, instance.place)
                done(outcome)

        def tested(outcome: Outcome) -> None:
            if outcome.ok and parts.roster.routes.get(model) != instance.slot.name:
                parts.leaving.drop(model, instance.place)
                outcome = Outcome(False, "not-serving", "another release serves meanwhile")
            if outcome.ok:
                self._stand_in(instance)
            done(outcome)

        parts.loading.stage(instance, staged)

    def leave(self, model: str) -> None:
        """Back to the usual way; the other worker finishes what it has."""
        parts = self._parts
        leaving, usual = parts.roster.serving(model), parts.roster.usual(model)
        if leaving is None or usual is None or leaving is usual or not usual.attached:
            return
        del parts.roster.ways[model]
        parts.front.route(model, usual.number)
        parts.leaving.retire(model, leaving.place)

    def end(self, model: str) -> None:
        """The release that serves is to be another one, or none: its other ways end with it."""
        parts = self._parts
        parts.ended(model)
        parts.roster.ways.pop(model, None)
        slot = parts.roster.routes.get(model)
        for one in parts.roster.others(model, slot) if slot is not None else ():
            step = one.take_step()
            parts.leaving.retire(model, one.place)
            if step is not None:
                step(Outcome(False, "not-serving", "another release serves meanwhile"))

    def died(self, instance: Instance, why: str) -> None:
        """A worker is dead, or as good as."""
        parts = self._parts
        done = instance.take_step()
        stood_in = parts.roster.serving(instance.model) is instance
        parts.leaving.drop(instance.model, instance.place)
        if stood_in:
            del parts.roster.ways[instance.model]
            usual = parts.roster.usual(instance.model)
            if usual is not None and usual.attached:
                parts.front.route(instance.model, usual.number)
        if done is not None:
            done(Outcome(False, "crash", f"the worker died: {why}"))
        elif stood_in:
            parts.lost(instance.model, instance.way, why)

    def _stand_in(self, instance: Instance) -> None:
        parts = self._parts
        before = parts.roster.serving(instance.model)
        parts.attach(instance)
        parts.roster.ways[instance.model] = instance.way
        parts.front.route(instance.model, instance.number)
        if before is not None and before.way:
            parts.leaving.retire(before.model, before.place)
