"""All looks together, and their findings for people and for programs."""

import os
import pwd
from collections.abc import Iterator
from contextlib import suppress

from fleet_agent import control, identity
from fleet_agent.config import file
from fleet_agent.config.file import ConfigError
from fleet_agent.doctor import hardware, machine, memory, network, runtimes, sandbox, service, settings, state
from fleet_agent.doctor.check import About, Check, Look, fail
from fleet_agent.errors import SetupError
from fleet_agent.paths import Paths

_LOOKS: dict[str, Look] = {
    "machine": machine.look,
    "hardware": hardware.look,
    "state": state.look,
    "settings": settings.look,
    "runtimes": runtimes.look,
    "memory": memory.look,
    "sandbox": sandbox.look,
    "network": network.look,
    "service": service.look,
}
_ASK_S = 10.0

Findings = dict[str, list[Check]]
"""Checks by topic."""


def as_owner(paths: Paths) -> None:
    """Go on as the user whom the state folder belongs to: what root may do says nothing about the agent."""
    if os.geteuid() != 0 or not paths.base.exists():
        return
    info = paths.base.stat()
    if info.st_uid != 0:
        try:
            os.initgroups(pwd.getpwuid(info.st_uid).pw_name, info.st_gid)
        except KeyError:
            os.setgroups([])
        os.setgid(info.st_gid)
        os.setuid(info.st_uid)


def examine(paths: Paths, looks: dict[str, Look] | None = None) -> Findings:
    """Look at everything; a look that fails is a finding itself."""
    about, first = _about(paths)
    found: Findings = {"settings": first} if first else {}
    for topic, look in (looks or _LOOKS).items():
        try:
            checks = list(look(about))
        except Exception as error:  # noqa: BLE001 - the other looks matter as much
            why = f"unexpected {type(error).__name__}"
            checks = [fail(f"the look at {topic} failed", why, "report it with the output of --debug doctor")]
        found.setdefault(topic, []).extend(checks)
    return found


def _about(paths: Paths) -> tuple[About, list[Check]]:
    enrolment, words, running, first = None, None, None, []
    with suppress(SetupError, OSError):
        enrolment = identity.enrolled(paths)
    try:
        words = file.read(paths.config if paths.config.exists() else None)
    except ConfigError as error:
        first = [settings.unreadable(error)]
    except OSError:
        words = file.read(None)  # the state folder cannot be read, which is told
    try:
        running = next(control.ask(paths.control, {"do": "status"}, _ASK_S), None)
    except SetupError as error:
        first.append(fail("the agent does not answer", str(error), "journalctl --unit fleet-agent"))
    except OSError:
        running = None
    return About(paths, enrolment, words, running), first


def counts(found: Findings) -> tuple[int, int]:
    """How many checks failed, how many warn."""
    verdicts = [check.verdict for checks in found.values() for check in checks]
    return verdicts.count("fail"), verdicts.count("warn")


def for_people(found: Findings) -> Iterator[str]:
    """Lines."""
    for checks in found.values():
        for check in checks:
            yield f"{check.verdict:4}  {check.what}"
            if check.why:
                yield f"      why: {check.why}"
            if check.fix:
                yield f"      fix: {check.fix}"
    fails, warns = counts(found)
    if fails or warns:
        yield f"{fails} failed, {warns} to look at"
    else:
        yield "everything is as it should be"


def for_programs(found: Findings) -> dict[str, object]:
    """For JSON."""
    fails, warns = counts(found)
    checks = [{"topic": topic, **check._asdict()} for topic, each in found.items() for check in each]
    return {"ok": not fails, "failed": fails, "warned": warns, "checks": checks}
