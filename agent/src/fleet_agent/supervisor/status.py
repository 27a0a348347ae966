"""What ``fleet-agent status`` shows, of a running agent or out of the journal of one that is down."""

from typing import Any

from dunlin_contract.directive import Directive
from dunlin_contract.reported import ModelState
from fleet_agent.identity import Enrolment
from fleet_agent.journal import Journal
from fleet_agent.supervisor.directives import Remembered
from fleet_agent.update.state import State


def last_remembered(journal: Journal, enrolment: Enrolment) -> Remembered:
    """What the journal knows of directives; after enrolment, only that the certificate was issued."""
    data = journal.fact("remembered")
    return Remembered.from_bytes(data) if data else Remembered(time_floor=enrolment.certified)


def last_directive(journal: Journal) -> Directive | None:
    """The directive in force."""
    data = journal.fact("directive")
    return Directive.from_bytes(data) if data else None


def basics(enrolment: Enrolment, journal: Journal, memory: Remembered) -> dict[str, object]:
    """What does not depend on a model."""
    return {
        "device": enrolment.device,
        "epoch": memory.seq_epoch,
        "seq": memory.seq,
        "root_version": memory.root_version,
        "events_unacked": journal.event_count(),
        "certificate_ends": enrolment.certificate_ends,
    }


def shown(model: ModelState) -> dict[str, Any]:
    """One model, digests in hex."""
    return {
        "phase": model.phase,
        **{name: _hex(getattr(model, name)) for name in ("active", "previous", "candidate")},
        "error_code": model.error_code,
        "error_text": model.error_text,
        "variant": model.variant,
        "served": model.served,
        "chunks_have": model.chunks_have,
        "chunks_need": model.chunks_need,
        "rejected": {one.kind: list(one.reasons) for one in model.rejected},
    }


def from_journal(enrolment: Enrolment, journal: Journal) -> dict[str, object]:
    """Status of an agent that is not running."""
    models: dict[str, object] = {}
    for name, state in journal.models().items():
        models[name] = {**shown(model_state(state)), "ready": False}
    memory = last_remembered(journal, enrolment)
    return {"running": False, "connected": False, **basics(enrolment, journal, memory), "models": models}


def model_state(state: State) -> ModelState:
    """One model as its update state alone tells it."""
    trial = state.copy(state.trial)
    active, spare = state.copy(state.active), state.copy(state.spare)
    previous = spare if spare is not None and spare.complete and spare.release != state.candidate else None
    newest = trial or active
    return ModelState(
        phase=state.phase,
        active=active.release if active else None,
        previous=previous.release if previous else None,
        candidate=state.candidate,
        error_code=state.code,
        error_text=state.text,
        variant=newest.variant if newest else "",
    )


def _hex(digest: bytes | None) -> str | None:
    return digest.hex() if digest is not None else None
