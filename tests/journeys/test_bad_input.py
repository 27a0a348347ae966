"""What users get wrong, at the commands and the API as they use them: one clear line, nothing half-done."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.api import ApiError
from demo.fleet import DIGITS, free_ports, wait_until
from demo.programs import command, run
from tests.journeys.test_clocks import faked
from tests.journeys.world import BULKY, V1, V2, World


def said(*arguments: object, env: dict[str, str] | None = None, stdin: str = "") -> tuple[int, str]:
    """Exit status of one of our commands, and the line it ended with, which is the only one that names it."""
    environment = {**os.environ, **(env or {})}
    name, *rest = arguments
    done = subprocess.run(
        command(str(name), *rest), input=stdin, capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    lines = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    assert sum(line.startswith(f"{name}: ") for line in lines) == 1, done.stderr
    return done.returncode, lines[-1]


def recipe(directory: Path, version: str, variant: str, **keys: object) -> Path:
    """The recipe of a small release of its own with one variant."""
    kind, _, suffix = variant.partition("-")
    top = {"name": "digits", "version": version, "counter": 1, "samples": str(DIGITS / "models" / "samples.npz")} | keys
    path = directory / f"{version}.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    model = DIGITS / "models" / f"v2-{suffix}.{kind}"
    lines += ["[budget]", "p95_ms = 500", "[[variant]]", f'kind = "{variant}"', f'model = "{model}"']
    path.write_text("\n".join(lines) + "\n")
    return path


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of `size` mounted at `folder`, or a skip where that is not possible."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def port_of(world: World) -> int:
    """The operators' port."""
    return int(world.fleet.url.rpartition(":")[2])


UNSTEADY = {"FAKETIME_DONT_FAKE_MONOTONIC": "0"}
"""The packager waits for a child with a time-out, which libfaketime gets wrong unless it fakes both clocks."""
HALF = "\ud800"
"""Half of a surrogate pair: JSON can say it, UTF-8 cannot."""
HUGE = 10**30


def test_hostile_requests_are_refused_in_one_line_and_the_server_goes_on(world: World) -> None:
    port = port_of(world)
    token = world.fleet.token_file.read_text()
    device = world.fleet.enrol(world.fresh_name())
    wipes = f"/devices/{device.name}/wipes"
    asked = {"release": world.releases[V1]}
    requests: list[tuple[str, str, object, int, str]] = [
        ("GET", f"/rollouts/{HUGE}", None, 422, "too large"),
        ("POST", f"/rollouts/{2**63}/pause", None, 422, "too large"),
        ("GET", f"/rollouts?before=-{HUGE}", None, 422, "too large"),
        ("GET", f"/events?before={HUGE}", None, 422, "too large"),
        ("GET", f"/audit?before={HUGE}", None, 422, "too large"),
        ("GET", "/releases/..%2f..%2fetc%2fpasswd", None, 404, "Not Found"),
        ("GET", "/releases/%00", None, 404, "there is no release"),
        ("GET", "/devices/%ff", None, 404, "there is no device"),
        ("POST", "/claim-tokens", b"", 422, "the body: "),
        ("POST", "/claim-tokens", b'{"tags": ', 422, "the body is not JSON: "),
        ("POST", "/claim-tokens", [], 422, "the body: "),
        ("POST", "/claim-tokens", {"expire_in_s": 600}, 422, "expire_in_s: unknown key"),
        ("POST", "/claim-tokens", {"expires_in_s": HUGE}, 422, "a claim token lives"),
        ("POST", "/claim-tokens", {"tags": {"site": HALF}}, 422, "tag site: "),
        ("POST", wipes, {"scop": ["digits"]}, 422, "scop: unknown key"),
        ("PATCH", "/settings", {"window": HUGE}, 422, "window: "),
        ("PATCH", "/settings", {"window": True}, 422, "window: "),
        ("POST", "/rollouts", {**asked, "selector": {"hardware": [HALF]}}, 422, "selector.hardware"),
        ("POST", "/rollouts", {**asked, "selector": {"tags": {"site": HALF}}}, 422, "selector.tags"),
        ("POST", "/rollouts", {**asked, "stages": [{"percent": float("nan")}]}, 422, "stages[0].percent"),
        ("POST", "/rollouts", b"[" * 100_000, 400, "parsing the body"),
        ("POST", "/rollouts", b" " * 10_000_000, 413, "send less"),
    ]
    for method, path, body, status, detail in requests:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was read
            connection.request(method, f"/api/v1{path}", data, headers)
        answer = connection.getresponse()
        assert (method, path, answer.status) == (method, path, status)
        try:
            problem = json.loads(answer.read())
        except (http.client.IncompleteRead, ConnectionResetError):
            # The server hung up on what was still being sent, and TCP may then drop the end of its answer.
            assert status == 413
            continue
        finally:
            connection.close()
        assert detail in problem["detail"], (path, problem)
        assert "\n" not in problem["detail"]
    assert "Traceback" not in world.fleet.server.output()
    assert token not in world.fleet.server.output()
    about_it = [
        line["action"] for line in world.fleet.api.get("/audit", limit=100)["items"] if device.name in str(line)
    ]
    assert "wipe.draft" not in about_it


def test_a_release_that_no_device_can_take_names_the_reason(world: World, tmp_path: Path) -> None:
    device = world.fleet.enrol(world.fresh_name(), runtimes=["onnxruntime"])
    device.start()
    world.online(device)

    def runtimes() -> list[str]:
        known = world.fleet.api.get(f"/devices/{device.name}")["description"]["runtimes"]
        return [str(one["name"]) for one in known]

    wait_until("it says which runtimes it has", lambda: runtimes() == ["onnxruntime"])
    release = world.fleet.push(world.fleet.build(recipe(tmp_path, "3.1.0", "tflite-int8")))
    body = {"release": release, "selector": {"devices": [device.name]}}
    (left_out,) = world.fleet.api.post("/rollouts/preview", body)["excluded"]
    assert (left_out["why"], left_out["reasons"]) == ("unfit", ["tflite-int8: runtime litert is not installed"])
    with pytest.raises(ApiError, match=f"{device.name}: tflite-int8: runtime litert is not installed") as refused:
        world.fleet.api.post("/rollouts", body)
    assert refused.value.status == 422
    assert device.status()["models"] == {}


def test_a_step_back_is_warned_of_and_one_below_the_floor_refused(world: World, tmp_path: Path) -> None:
    watched = world.watched()
    name = watched.device.name
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    body = {"release": world.releases[V1], "selector": {"devices": [name]}}
    forecast = world.fleet.api.post("/rollouts/preview", body)
    assert f"1 of the devices run a newer version ({V2}): this takes them back to {V1}" in forecast["warnings"]
    assert forecast["blockers"] == []
    low = world.fleet.push(world.fleet.build(recipe(tmp_path, "2.9.0", "onnx-int8", counter=0)))
    with pytest.raises(ApiError, match="security counter 0 is below its floor 1: build the release with a higher one"):
        world.fleet.api.post("/rollouts", body | {"release": low})
    watched.check(V2)


def test_a_version_means_one_content(world: World, tmp_path: Path) -> None:
    path = recipe(tmp_path, "3.2.0", "onnx-int8")
    world.fleet.push(world.fleet.build(path))
    other = world.fleet.build(path, "--force")
    where = ["--keys", world.fleet.keys_dir, "--server", world.fleet.url, "--token-file", world.fleet.token_file]
    code, line = said("packager", "push", other, *where)
    assert code == 1
    assert line.endswith("(409): digits 3.2.0 is here already with other content: choose a higher version")


def test_a_release_from_the_future_is_not_taken(world: World, tmp_path: Path) -> None:
    built = recipe(tmp_path, "3.3.0", "onnx-int8")
    keys = ["--keys", world.fleet.keys_dir]
    bundle = tmp_path / "future.dnb"
    done = command("packager", "build", built, *keys, "--out", bundle)
    subprocess.run(
        done, env={**os.environ, **faked("@2049-01-01 00:00:00"), **UNSTEADY}, check=True, capture_output=True
    )
    where = ["--server", world.fleet.url, "--token-file", world.fleet.token_file]
    code, line = said("packager", "push", bundle, *keys, *where)
    assert code == 1
    assert "this release is from the future: set the clock" in line


@pytest.mark.parametrize("program", ["packager", "fleet-server"])
def test_keys_made_in_1970_are_not_made(world: World, tmp_path: Path, program: str) -> None:
    new = tmp_path / "new"
    server_keys = ["--server-keys", world.fleet.server_dir / "server-keys.cbor", "--no-passphrase"]
    arguments = ["keys", "init", new, *server_keys] if program == "packager" else ["init", new]
    code, line = said(program, *arguments, env=faked("@1970-01-01 00:00:10"))
    assert code == 1
    assert "clock is years behind: set it" in line
    assert not new.exists()


def test_push_names_what_is_wrong_with_file_key_token_and_address(world: World, tmp_path: Path) -> None:
    whole = world.bundles[V1].read_bytes()
    cek = world.bundles[V1].with_name(f"{world.bundles[V1].name}.cek").read_bytes()
    keys = ["--keys", world.fleet.keys_dir]

    def push(name: str, data: bytes, sealed: bytes, url: str = world.fleet.url, token: str = "") -> str:
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"{name}.cek").write_bytes(sealed)
        env = {"DUNLIN_TOKEN": token or world.fleet.token_file.read_text()}
        code, line = said("packager", "push", tmp_path / name, *keys, "--server", url, env=env)
        assert code == 1
        return line

    assert "cut.dnb is refused; copy it anew, or build it again: the bundle ends" in push("cut.dnb", whole[:900], cek)
    assert "3 bytes follow the bundle's end" in push("long.dnb", whole + b"abc", cek)
    assert "none.dnb is refused; copy it anew, or build it again: not a Dunlin bundle" in push(
        "none.dnb", b"x" * 99, cek
    )
    assert "a.dnb.cek does not open: take the file that was built with this bundle" in push("a.dnb", whole, b"x")
    assert "copy what `fleet-server token add` printed" in push("b.dnb", whole, cek, token="schl\u00fcssel")
    assert "make one by `fleet-server token add NAME`" in push("c.dnb", whole, cek, token="wrong")
    assert "is not a server's address" in push("d.dnb", whole, cek, url="http://127.0.0.1:99999")
    secure = world.fleet.url.replace("http:", "https:", 1)
    assert f"does not speak TLS: is it {world.fleet.url}?" in push("e.dnb", whole, cek, url=secure)
    device_url = world.fleet.api.get("/server")["device_url"]
    assert "give its CA by --ca" in push("f.dnb", whole, cek, url=device_url)
    for name, damaged in (("cut.dnb", "the bundle ends inside its manifest"), ("none.dnb", "not a Dunlin bundle")):
        code, line = said("packager", "inspect", tmp_path / name)
        assert (code, damaged in line) == (1, True)


@pytest.mark.parametrize("seconds", ["0", "nan"])
def test_a_build_needs_a_time_limit_that_is_one(world: World, tmp_path: Path, seconds: str) -> None:
    path = recipe(tmp_path, "3.4.0", "onnx-int8")
    arguments = ["build", path, "--keys", world.fleet.keys_dir, "--out", tmp_path / "x.dnb", "--timeout", seconds]
    done = subprocess.run(command("packager", *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--timeout: " in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("x.dnb*"))


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--port", "0"], 2, "a port is a number from 1 to 65535"),
        (["--host", ""], 2, "is no host name or IP address"),
        (["--host", 'a b"c'], 2, "is no host name or IP address"),
        (["--port", "4000", "--broker-port", "4000"], 2, "must be three different ports"),
    ],
)
def test_init_refuses_what_cannot_be_served(tmp_path: Path, arguments: list[str], code: int, line: str) -> None:
    done = subprocess.run(
        command("fleet-server", "init", tmp_path / "new", *arguments), capture_output=True, text=True, check=False
    )
    assert (done.returncode, line in done.stderr.splitlines()[-1]) == (code, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_or_a_database_that_cannot_work_end_serve_at_once(tmp_path: Path) -> None:
    data = tmp_path / "new"
    run(command("fleet-server", "init", data))
    file = data / "server.toml"
    right = file.read_text()
    for setting, words in (
        ("tick_s = -1.0", "tick_s must be from 0.05 to 60"),
        ("operator_port = 99999", "operator_port must be from 1 to 65535"),
    ):
        kept = [line for line in right.splitlines() if not line.startswith(setting.partition(" ")[0])]
        file.write_text("\n".join([*kept, setting, ""]))
        code, line = said("fleet-server", "serve", "--data", data)
        assert (code, words in line) == (1, True), line
    file.write_text(right)
    (data / "dunlin.db").write_bytes(b"no database " * 1000)
    code, line = said("fleet-server", "serve", "--data", data)
    assert (code, "the database is damaged" in line, "restore a backup" in line) == (1, True, True), line


def test_claim_tokens_that_are_used_cut_or_of_another_fleet(world: World, tmp_path: Path) -> None:
    def enroll(token: str, name: str) -> str:
        where = ["--state-dir", tmp_path / name, "--id", name, "--token-file", "-"]
        code, line = said("fleet-agent", "enroll", *where, stdin=token)
        assert code == 1
        assert not (tmp_path / name / "enrolment.cbor").exists()
        return line

    token = world.claim_token()
    first = world.fleet.device(world.fresh_name())
    first.enrol(token)
    assert "this claim token was used already: ask an operator for a new one" in enroll(token, "late")
    assert "copy the whole of it, or ask an operator for a new one" in enroll(token[:80], "cut")
    assert "copy the whole of it, or ask an operator for a new one" in enroll("hello", "none")
    assert first.name in enroll(world.claim_token(), first.name)
    assert token not in world.fleet.server.output()


def test_a_local_api_that_cannot_be_had_is_said_at_once(world: World, tmp_path: Path) -> None:
    device = world.fleet.device(world.fresh_name())
    device.enrol(world.claim_token())
    (port,) = free_ports(1)
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = taken.getsockname()[1]
        for listen, place, words in (
            (f"127.0.0.1:{used}", "s", f"port {used} on 127.0.0.1 is in use"),
            (f"0.0.0.0:{port}", "s", "0.0.0.0 is reachable from outside"),
            (f"127.0.0.1:{port}", "file", "is there and no socket"),
            (f"127.0.0.1:{port}", "none/s", "No such file or directory"),
        ):
            where = ["--state-dir", device.directory, "--listen", listen, "--socket", tmp_path / place]
            code, line = said("fleet-agent", "run", *where)
            assert (code, words in line, "(--listen, --socket)" in line) == (1, True, True), line


def test_a_broker_that_is_down_is_named_by_server_and_device(world: World) -> None:
    watched = world.watched()
    world.fleet.broker.stop()
    said_so = rf"not connected to the broker: 127.0.0.1 port {world.fleet.broker_port} does not answer"
    watched.device.program.wait_for(rf"{said_so} \(Connection refused\): is it running\?")

    def link() -> str:
        return str(world.fleet.api.get("/server")["broker"]["detail"])

    words = f"no broker at 127.0.0.1:{world.fleet.broker_port}: start it, or check"
    wait_until("the server says so", lambda: link().startswith(words))
    watched.still_serves(V1)
    watched.stop_traffic()


def test_a_server_whose_disk_is_full_or_that_is_killed_keeps_nothing_of_an_upload(world: World) -> None:
    uploads = world.fleet.server_dir / "tmp"
    # Another version of the bulky release: the same one is known to the server and would be taken for no news.
    text = (world.fleet.directory / "recipes" / f"bulky-{BULKY}.toml").read_text()
    path = world.fleet.directory / "recipes" / "bulky-3.5.0.toml"
    path.write_text(text.replace(f'version = "{BULKY}"', 'version = "3.5.0"'))
    bundle = world.fleet.build(path)
    where = ["--keys", world.fleet.keys_dir, "--server", world.fleet.url, "--token-file", world.fleet.token_file]
    with small_disk(uploads, "1m"):
        code, line = said("packager", "push", bundle, *where)
        assert code == 1
        assert "(No space left on device): free some space and push again" in line
        assert list(uploads.iterdir()) == []
    with socket.create_connection(("127.0.0.1", port_of(world))) as half:
        head = (
            f"POST /api/v1/releases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.fleet.token_file.read_text()}"
        )
        half.sendall(f"{head}\r\nDunlin-Sealed-Cek: AAAA\r\nContent-Length: 3000000\r\n\r\n".encode())
        half.sendall(bundle.read_bytes()[:1_500_000])
        wait_until("part of it is there", lambda: any(part.stat().st_size for part in uploads.glob("*.upload")))
        world.fleet.server.kill()
    world.fleet.start_server()
    assert list(uploads.iterdir()) == []
    assert not [one for one in world.fleet.api.get("/releases")["items"] if one["version"] == "3.5.0"]
    world.fleet.push(bundle)
