"""What keeps a hostile model to its task on this device, tried in a process as a worker is."""

from fleet_agent.config import workers
from fleet_agent.config.file import ConfigError
from fleet_agent.doctor.check import About, Check, fail, ok, warn
from fleet_agent.doctor.trying import TryError, attempt
from fleet_agent.sandbox.privileges import Account
from fleet_agent.sandbox.record import Record
from fleet_agent.sandbox.survey import Finding, survey

_TRY = """
import json, os
from fleet_agent.sandbox import enter, profiles
from fleet_agent.sandbox.privileges import Account
account = {account}
record = enter.enter(profiles.worker("cpu"), os.getppid(), Account(*account) if account else None)
os.write(1, json.dumps(record.to_map()).encode())
os._exit(0)
"""


def look(about: About) -> list[Check]:
    """The sandbox that the worker of the next model gets, and memory limits."""
    if about.words is None:
        return []  # told with agent.toml
    try:
        settings = workers.read(about.words)
    except ConfigError:
        return []
    limits = next(one for one in survey(about.words.table("worker").get("user")) if one.part == "limits")
    limited = any(one.memory_mb for one in (settings.others, *settings.models.values()))
    return [*_tried(settings.others.account), *_limits(about, limits, limited=limited)]


def _tried(account: Account | None) -> list[Check]:
    """What a process that enters as a worker does comes out with."""
    try:
        code = _TRY.format(account=tuple(account) if account is not None else None)
        record = Record.from_map(attempt(code))
    except TryError as error:
        return [fail("the sandbox of workers does not work", str(error), "no model is served before it does")]
    if record is None:
        return [fail("the sandbox of workers does not work", "it said something else", "reinstall the agent")]
    checks = [ok(f"workers run in a sandbox: {record.tier}")] if record.tier != "none" else []
    if not record.landlock and record.user is None:
        why = f"a hostile model could read this device's keys: {record.lacking.get('landlock', 'no Landlock')}"
        fix = "run workers as another user: 'Workers as a user of their own' in the agent's README"
        checks.append(warn("workers can read the files of the agent", why, fix))
    if not record.seccomp:
        fix = "a kernel with CONFIG_SECCOMP_FILTER, or a container that lets filters be set"
        checks.append(warn("workers may make any system call", record.lacking.get("seccomp", "no seccomp"), fix))
    return checks


def _limits(about: About, found: Finding, *, limited: bool) -> list[Check]:
    if found.there:
        return [ok(found.text)]
    try:
        there = (about.root / "sys/fs/cgroup/cgroup.controllers").read_text("ascii").split()
    except OSError:
        there = []
    if "memory" in there:
        # This is not the service's own group; there the unit says Delegate=.
        return [ok("the kernel can limit the memory of workers")]
    why = "memory_mb in agent.toml has no effect" if limited else "a model could take the memory of the whole device"
    fix = "boot with cgroup v2; on a Raspberry Pi add cgroup_enable=memory to the kernel's command line"
    return [warn("the kernel cannot limit the memory of workers", why, fix)]
