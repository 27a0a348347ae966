"""The state folder: who may read it, room on its disk, and the enrolment in it."""

import os
import stat
import time

from fleet_agent.doctor.check import About, Check, fail, ok, warn

_NEEDED_BYTES = 64 << 20
_WISHED_BYTES = 1 << 30
_DAY_S = 86_400


def look(about: About) -> list[Check]:
    """Folder, disk, enrolment."""
    base = about.paths.base
    try:
        info = base.stat()
    except FileNotFoundError:
        return [_no_device()]
    except OSError as error:
        why = error.strerror or "it cannot be read"
        return [fail(f"{base} cannot be read", why, "run this as root or as the agent's user")]
    return [*_folder(about, info), *_room(about, os.statvfs(base)), *_enrolment(about)]


def _no_device() -> Check:
    fix = "ask an operator for a claim token: fleet-agent enroll --token-file FILE"
    return warn("this machine is no device yet", "it was not enrolled in a fleet", fix)


def _folder(about: About, info: os.stat_result) -> list[Check]:
    base = about.paths.base
    if not os.access(base, os.R_OK | os.W_OK | os.X_OK):
        why = f"it belongs to user {info.st_uid}, and this is user {os.geteuid()}"
        return [fail(f"{base} cannot be written", why, f"sudo chown -R USER {base}, with the agent's user")]
    strangers = sorted({path.name for path in base.iterdir() if path.lstat().st_uid != info.st_uid})
    if strangers:
        why = f"{', '.join(strangers[:4])} are another user's: an agent that was started as root leaves such files"
        return [fail(f"{base} has files of two users", why, f"sudo chown -R {info.st_uid} {base}")]
    if stat.S_IMODE(info.st_mode) & 0o077:
        return [warn(f"other users can look into {base}", "it holds this device's keys", f"chmod 700 {base}")]
    return [ok(f"state in {base}")]


def _room(about: About, disk: os.statvfs_result) -> list[Check]:
    base, free = about.paths.base, disk.f_bavail * disk.f_frsize
    what = f"{free >> 20} MiB free on the disk of {base}"
    if disk.f_flag & os.ST_RDONLY:
        why = "the journal of updates cannot be written"
        return [
            fail(f"the disk of {base} is read-only", why, "mount it for writing; the kernel's log says why it is not")
        ]
    if free < _NEEDED_BYTES or (disk.f_files and not disk.f_favail):
        return [fail(what, "a release does not fit beside the one that serves", "free some, or move the state folder")]
    if free < _WISHED_BYTES:
        return [warn(what, "a large release may not fit beside the one that serves", "free some before the next one")]
    return [ok(what)]


def _enrolment(about: About) -> list[Check]:
    enrolment = about.enrolment
    if enrolment is None:
        if not about.paths.enrolment.exists():
            return [_no_device()]
        return [fail("the enrolment is damaged", f"{about.paths.enrolment} cannot be read", "enrol this device anew")]
    days = (enrolment.certificate_ends - time.time()) / _DAY_S
    if days < 0:
        why = "it is renewed over the network in time: this device was away for longer than it lasts"
        return [warn("the certificate has ended", why, "let the agent reach its server; it will be renewed")]
    return [ok(f"enrolled as {enrolment.device}; its certificate lasts {days:.0f} days more")]
