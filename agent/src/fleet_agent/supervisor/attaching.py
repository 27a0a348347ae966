"""What the front learns of a loaded worker, and whether its requests may run together."""

from collections.abc import Callable
from dataclasses import dataclass

from fleet_agent.slots import Part
from fleet_agent.supervisor.front import Attachment, Front
from fleet_agent.supervisor.instance import Instance
from fleet_agent.supervisor.unlocking import Answer


@dataclass(frozen=True, slots=True)
class Attaching:
    """Makes workers known to the front."""

    front: Front
    unlock: Callable[[Instance, Part, Callable[[Answer], None]], None]

    def attach(self, instance: Instance) -> None:
        """Make a worker known to the front; find out whether its requests may run together while it serves already."""
        assert instance.layout is not None
        instance.attached = True
        variant = instance.layout.variant
        self.front.attach(
            Attachment(
                instance.number,
                instance.model,
                instance.copy.version,
                instance.copy.release,
                variant.io.to_cbor(),
                variant.fit.runtime,
                instance.connect,
                load_ms=instance.running.load_ms,
                rss=instance.running.rss,
                labels=instance.labels,
                way=instance.way,
            )
        )
        if instance.batches:
            self.unlock(instance, instance.layout.golden, lambda answer: _try_batches(instance, answer))


def _try_batches(instance: Instance, answer: Answer) -> None:
    if answer.ok and instance.child is not None and instance.layout is not None:
        tolerance = instance.layout.variant.golden.tolerance
        body = {"do": "batch", "rows": instance.settings.batch, "tolerance": tolerance}
        instance.child.send(body, answer.fds[:1])
