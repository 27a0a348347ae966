"""``fleet-agent doctor``: each finding where its cause is, none where it is not, and the whole against a real agent."""

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from fleet_agent import identity
from fleet_agent.config import file
from fleet_agent.doctor import (
    examine,
    machine,
    memory,
    network,
    runtimes,
    sandbox,
    service,
    settings,
    state,
    trying,
)
from fleet_agent.doctor.check import About, Check, fail, ok
from fleet_agent.paths import Paths
from fleet_agent.runtimes import installed
from fleet_agent.sandbox.record import Record
from fleet_agent.sandbox.survey import Finding
from tests.agent.fleet import DAY_S, Agent, Authority, Fleet, commit
from tests.agent.test_cli import command

NO_LIMITS = Finding("limits", False, "not its own group")


def about(folder: Path, **more: Any) -> About:
    return About(Paths(folder), **{"words": file.read(None), **more})


def told(checks: list[Check]) -> dict[str, str]:
    """Verdict by what was found; every finding that is not well says why and what to do."""
    assert all(check.why and check.fix for check in checks if check.verdict != "ok"), checks
    return {check.what: check.verdict for check in checks}


def only(checks: list[Check]) -> Check:
    told(checks)
    [check] = checks
    return check


# The whole.


def test_a_device_that_is_well(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    arguments = ("doctor", "--state-dir", str(fleet.state))
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        done = command(*arguments)
        assert done.returncode == 0, done.stdout
        assert f"ok    enrolled as {fleet.device}" in done.stdout
        assert "the agent is connected" in done.stdout
        assert f"ok    the local API answers on port {agent.port}" in done.stdout
        assert "fail  " not in done.stdout
    found = json.loads(command(*arguments, "--json").stdout)
    assert (found["ok"], found["failed"]) == (True, 0)
    assert {check["verdict"] for check in found["checks"]} == {"ok", "warn"}
    [broker] = [check for check in found["checks"] if check["what"].startswith("broker")]
    assert broker["what"].endswith("takes this device's certificate")
    assert len([one for one in fleet.reported if one.boot_nonce]) == len(fleet.reported)


def test_a_machine_that_is_no_device_yet(tmp_path: Path) -> None:
    done = command("doctor", "--state-dir", str(tmp_path / "none"))
    assert done.returncode == 0, done.stdout
    assert "warn  this machine is no device yet" in done.stdout
    assert "fix: ask an operator for a claim token" in done.stdout


def test_a_configuration_that_cannot_be_is_a_failure(fleet: Fleet) -> None:
    Paths(fleet.state).config.write_text("[worker]\nthreadz = 2\n")
    done = command("doctor", "--state-dir", str(fleet.state))
    assert done.returncode == 1
    assert "fail  agent.toml cannot be used" in done.stdout
    assert "threadz" in done.stdout


def test_a_look_that_fails_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(_: About) -> list[Check]:
        raise ZeroDivisionError

    found = examine.examine(Paths(tmp_path), {"one": broken, "two": lambda _: [ok("fine")]})
    assert only(found["one"]).verdict == "fail"
    assert "ZeroDivisionError" in found["one"][0].why
    assert found["two"] == [ok("fine")]
    assert examine.counts(found) == (1, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_root_looks_as_the_agents_user(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12_345, 12_345)
    pid = os.fork()
    if pid == 0:
        examine.as_owner(Paths(folder))
        os._exit(0 if (os.geteuid(), os.getegid(), os.getgroups()) == (12_345, 12_345, []) else 1)
    assert os.waitpid(pid, 0)[1] == 0


# The topics.


def test_the_clock_and_the_temperature(fleet: Fleet) -> None:
    here = about(fleet.state, enrolment=identity.enrolled(Paths(fleet.state)))
    assert here.enrolment is not None
    certified = here.enrolment.certified
    assert only(machine._clock(here, True, certified + 1)).verdict == "ok"
    assert only(machine._clock(here, True, certified - 1)).what == "the clock is behind the day of enrolment"
    assert only(machine._clock(here, False, certified + 1)).verdict == "warn"
    assert machine._temperature(None) == []
    assert only(machine._temperature(799)) == ok("temperature 80 °C")
    assert only(machine._temperature(801)).verdict == "warn"


def test_the_system_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=x\nPRETTY_NAME="An Edge OS 3"\n')
    assert only(machine._system(about(tmp_path, root=tmp_path))).what.startswith("An Edge OS 3, Linux ")


def test_a_state_folder_that_others_can_read(fleet: Fleet) -> None:
    here = about(fleet.state, enrolment=identity.enrolled(Paths(fleet.state)))
    assert set(told(state.look(here)).values()) == {"ok"}
    fleet.state.chmod(0o755)
    assert told(state.look(here))[f"other users can look into {fleet.state}"] == "warn"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_files_of_two_users_in_the_state_folder(fleet: Fleet) -> None:
    os.chown(Paths(fleet.state).root, 12_345, 12_345)
    found = state._folder(about(fleet.state), fleet.state.stat())
    assert (found[0].verdict, "root.cose" in found[0].why) == ("fail", True)


@pytest.mark.parametrize(
    ("blocks", "inodes", "flag", "verdict"),
    [
        (1 << 20, 9, 0, "ok"),
        (1 << 16, 9, 0, "warn"),
        (1 << 10, 9, 0, "fail"),
        (1 << 20, 0, 0, "fail"),
        (0, 9, 1, "fail"),
    ],
)
def test_room_on_the_disk(tmp_path: Path, blocks: int, inodes: int, flag: int, verdict: str) -> None:
    disk = os.statvfs_result((4096, 4096, 1 << 21, blocks, blocks, 10, inodes, inodes, flag, 255))
    assert only(state._room(about(tmp_path), disk)).verdict == verdict


def test_an_enrolment_that_is_damaged_or_has_ended(fleet: Fleet) -> None:
    Paths(fleet.state).enrolment.write_bytes(b"?")
    assert only(state._enrolment(about(fleet.state))).verdict == "fail"
    fleet.enrol(begins_s=-9 * DAY_S, ends_s=-DAY_S)
    ended = about(fleet.state, enrolment=identity.enrolled(Paths(fleet.state)))
    assert only(state._enrolment(ended)).what == "the certificate has ended"


def test_a_runtime_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def attempt(code: str) -> list[str]:
        if "onnxruntime" in code:
            raise trying.TryError("libcudart is not there")
        return []

    monkeypatch.setattr(runtimes, "attempt", attempt)
    verdicts = told(runtimes.look(about(tmp_path, root=tmp_path)))
    assert sorted(verdicts.values()) == ["fail", "ok"]
    monkeypatch.setattr(installed, "_distributions", dict)
    verdicts = told(runtimes.look(about(tmp_path, root=tmp_path)))
    assert verdicts["no runtime works"] == "fail"
    assert verdicts["no LiteRT"] == "warn"


def test_a_delegate_that_is_wanted_and_not_there(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[[model]]\nname = "digits"\ndelegate = "cuda"\n')
    here = about(tmp_path, words=file.read(path), root=tmp_path)
    assert only(runtimes._delegates(here, ["CPUExecutionProvider"])).what.startswith("agent.toml wants cuda")
    assert runtimes._delegates(here, ["CUDAExecutionProvider"]) == []
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    idle = about(tmp_path, root=tmp_path)
    assert only(runtimes._delegates(idle, ["CPUExecutionProvider"])).what == "an NVIDIA GPU that is not used"


@pytest.mark.parametrize(
    ("record", "whats"),
    [
        (Record(1000, 7, True), ["workers run in a sandbox: user+landlock+seccomp"]),
        (Record(None, 7, True, {"user": "one user"}), ["workers run in a sandbox: landlock+seccomp"]),
        (Record(1000, 0, True), ["workers run in a sandbox: user+seccomp"]),
        (Record(None, 0, True), ["workers run in a sandbox: seccomp", "workers can read the files of the agent"]),
        (Record(), ["workers can read the files of the agent", "workers may make any system call"]),
    ],
)
def test_what_the_sandbox_has(monkeypatch: pytest.MonkeyPatch, record: Record, whats: list[str]) -> None:
    monkeypatch.setattr(sandbox, "attempt", lambda _: record.to_map())
    assert list(told(sandbox._tried(None))) == whats


def test_the_sandbox_is_really_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any("landlock" in check.what or check.verdict == "warn" for check in sandbox._tried(None))
    monkeypatch.setattr(sandbox, "_TRY", "raise SystemError('no such luck')")
    assert "no such luck" in only(sandbox._tried(None)).why


def test_memory_limits_by_the_kernels_word(tmp_path: Path) -> None:
    here = about(tmp_path, root=tmp_path)
    assert only(sandbox._limits(here, NO_LIMITS, limited=True)).why == "memory_mb in agent.toml has no effect"
    folder = tmp_path / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("cpuset cpu io pids")
    assert only(sandbox._limits(here, NO_LIMITS, limited=False)).verdict == "warn"
    delegated = Finding("limits", True, "limited below here")
    assert only(sandbox._limits(here, delegated, limited=False)) == ok("limited below here")
    (folder / "cgroup.controllers").write_text("cpu memory pids\n")
    assert only(sandbox._limits(here, NO_LIMITS, limited=False)).verdict == "ok"


def test_swap(tmp_path: Path) -> None:
    assert memory._swap(about(tmp_path), "no-swap").verdict == "ok"
    assert memory._swap(about(tmp_path), "locked").verdict == "ok"
    assert memory._swap(about(tmp_path), "swappable").verdict == "warn"
    running = {"models": {"digits": {"locked": True}}}
    assert memory._swap(about(tmp_path, running=running), "swappable").verdict == "ok"
    assert memory._free(1 << 20).verdict == "warn"


def test_cameras_and_folders_of_agent_toml(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        f"""
        [[source]]
        name = "door"
        kind = "camera"
        model = "digits"
        device = "/dev/video0"
        [[source]]
        name = "spool"
        kind = "folder"
        model = "digits"
        folder = "{tmp_path}/spool"
        """
    )
    here = about(tmp_path, words=file.read(path), root=tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video2").touch()
    checks = {check.what: check for check in settings.look(here)}
    told(list(checks.values()))
    assert checks["camera door is not there"].fix == "plug it in; there are: /dev/video2"
    assert f"source spool gets nothing from {tmp_path}/spool" in checks
    (tmp_path / "dev/video0").touch()
    (tmp_path / "spool").mkdir()
    whats = told(settings.look(here))
    assert whats["camera door at /dev/video0"] == "ok"
    assert not [what for what in whats if "spool" in what]


def test_every_table_of_agent_toml_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    tables = {
        "[api]\nqueued_requests = 0": "queued_requests",
        "[worker]\nthreads = 0": "threads",
        "[results]\nmost_mb = 0": "most_mb",
        '[capture]\nkinds = ["all"]': "kinds",
        '[carriers]\nusb = "stick"': "usb",
    }
    for text, word in tables.items():
        path.write_text(text)
        found = only(settings.look(about(tmp_path, words=file.read(path), root=tmp_path)))
        assert found.verdict == "fail"
        assert word in found.why


def test_a_broker_that_is_away_or_another(fleet: Fleet) -> None:
    here = about(fleet.state, enrolment=identity.enrolled(Paths(fleet.state)))
    assert here.enrolment is not None
    port = here.enrolment.broker_port
    assert network._broker(here, "broker", ("127.0.0.1", port)).verdict == "ok"
    Paths(fleet.state).ca.write_bytes(Authority().pem)
    assert network._broker(here, "broker", ("127.0.0.1", port)).what == "broker is not the fleet's"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gone = network._broker(here, "broker", ("127.0.0.1", port))
    assert (gone.verdict, gone.why) == ("warn", "Connection refused")


def test_a_local_api_that_does_not_answer(tmp_path: Path) -> None:
    assert service._api(about(tmp_path)) == []
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]

        def hang_up() -> None:
            sock.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert only(service._api(about(tmp_path, running={"port": port}))).verdict == "fail"


def test_the_unit_by_what_systemd_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = about(tmp_path, root=tmp_path)
    assert only(service._unit(here)).what == "the agent does not run"
    assert only(service._unit(about(tmp_path, root=tmp_path, running={}))).verdict == "ok"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    whats = {
        None: "the agent is no service",
        ("enabled", "active"): "fleet-agent.service runs",
        ("disabled", "active"): "fleet-agent.service does not start at boot",
        ("enabled", "failed"): "fleet-agent.service does not run",
    }
    for said, what in whats.items():
        monkeypatch.setattr(service, "_state", lambda said=said: said)
        assert only(service._unit(here)).what == what


def test_an_attempt_that_crashes_or_says_nothing() -> None:
    assert trying.attempt("print(1); print('[2]')") == [2]
    for code, why in (
        ("import os; os.abort()", "signal 6"),
        ("1 / 0", "division by zero"),
        ("pass", "ended with code 0"),
    ):
        with pytest.raises(trying.TryError, match=why):
            trying.attempt(code)


def test_findings_say_what_why_and_how_to_fix() -> None:
    lines = list(examine.for_people({"one": [ok("fine"), fail("gone", "it left", "fetch it")]}))
    assert lines == ["ok    fine", "fail  gone", "      why: it left", "      fix: fetch it", "1 failed, 0 to look at"]
