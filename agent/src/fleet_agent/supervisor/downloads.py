"""Bringing a planned release's chunks into its slot, each checked before it is written and never fetched twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from dunlin_contract.manifest import TAG_BYTES
from fleet_agent.carriers.base import Place
from fleet_agent.errors import StorageError
from fleet_agent.slots import Plan, Slot
from fleet_agent.supervisor.fetching import Fetching
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.planning import Refusal

Done = Callable[[Refusal | None], None]
"""Takes None when every chunk is there, or why the slot cannot take them."""

_RETRY_S = 10.0


@dataclass(slots=True)
class Download:
    """One release on its way into one slot. ``have`` of ``need`` chunks are there."""

    plan: Plan
    slot: Slot
    places: dict[bytes, list[int]]
    done: Done
    have: int
    need: int


class Downloads:
    """At most one download a model."""

    def __init__(self, loop: Loop, fetching: Fetching, progress: Callable[[], None]) -> None:
        self._loop = loop
        self._fetching = fetching
        self._progress = progress
        self._running: dict[str, Download] = {}

    def begin(self, plan: Plan, slot: Slot, *, recheck: bool, done: Done) -> None:
        """Prepare the slot and fetch what it lacks."""
        self.cancel(slot.model)
        try:
            slot.prepare(plan)
        except StorageError as error:
            self._loop.post(partial(done, Refusal(error.code, str(error))))
            return
        download = Download(plan, slot, {}, done, 0, len(plan.layout.leaves))
        self._running[slot.model] = download
        if recheck:
            # One chunk at a time: the loop has other work, and a release may be gigabytes.
            self._recheck(download, slot.recheck(plan.layout))
        else:
            self._fetch(download)

    def cancel(self, model: str) -> None:
        """Stop fetching for the model; what is in the slot stays."""
        if self._running.pop(model, None) is not None:
            self._fetching.forget(f"chunks/{model}")

    def progress(self, model: str) -> tuple[int, int]:
        """Chunks that are there and that are needed; zeros when nothing is being fetched."""
        download = self._running.get(model)
        return (download.have, download.need) if download else (0, 0)

    def locate(self, name: bytes) -> Place | None:
        """Where a chunk that is being fetched lies in its release."""
        for download in self._running.values():
            places = download.places.get(name)
            if places:
                return _place(download.plan, places[0])
        return None

    def _recheck(self, download: Download, steps: Iterator[None]) -> None:
        if self._running.get(download.slot.model) is not download:
            return
        for _ in steps:
            self._loop.post(lambda: self._recheck(download, steps))
            return
        self._fetch(download)

    def _fetch(self, download: Download) -> None:
        leaves, have = download.plan.layout.leaves, download.slot.have()
        for place, leaf in enumerate(leaves):
            if place not in have:
                download.places.setdefault(leaf, []).append(place)
        download.have = download.need - sum(map(len, download.places.values()))
        if not download.places:
            self._finish(download, None)
            return
        owner, names = f"chunks/{download.slot.model}", list(download.places)
        self._fetching.want(owner, names, partial(self._arrived, download), chunks=True)

    def _arrived(self, download: Download, name: bytes, data: bytes) -> None:
        if self._running.get(download.slot.model) is not download:
            return
        for place in download.places.get(name, []):
            if len(data) != download.plan.layout.place(place)[1]:
                self._finish(download, Refusal("lengths", "a chunk is not as long as the manifest implies"))
                return
            try:
                download.slot.put(download.plan.layout, place, data)
            except StorageError as error:
                self._not_kept(download, error)
                return
            download.have += 1
        download.places.pop(name, None)
        self._progress()
        if not download.places:
            self._finish(download, None)

    def _not_kept(self, download: Download, error: StorageError) -> None:
        if error.code == "disk-full":
            self._finish(download, Refusal(error.code, str(error)))
            return
        log(f"{error}; trying again")
        self.cancel(download.slot.model)
        self._running[download.slot.model] = download
        self._loop.after(_RETRY_S, lambda: self._resume(download))

    def _resume(self, download: Download) -> None:
        if self._running.get(download.slot.model) is download:
            download.places.clear()
            self._fetch(download)

    def _finish(self, download: Download, refusal: Refusal | None) -> None:
        self.cancel(download.slot.model)
        download.done(refusal)


def _place(plan: Plan, place: int) -> Place:
    payloads = plan.layout.manifest.payloads
    number, chunk = plan.layout.chunk(place)
    payload = payloads[number]
    before = sum(one.ciphertext_length for one in payloads[:number])
    offset = chunk * ((1 << payload.chunk_log2) + TAG_BYTES)
    length = payload.chunk_length(chunk)
    return Place(plan.release, number, offset, length, payload.ciphertext_length, before)
