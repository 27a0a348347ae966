"""Tokens: what may listen where, who may ask, and what agent.toml says of it. And the page that describes the API."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from fleet_agent.config import api, file
from fleet_agent.config.file import ConfigError
from fleet_agent.front.app import App
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.router import Router
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO
from tests.agent.local_api_parts import Client, Front, device
from tests.agent.test_front_limits import Deaf

TOKEN = "correct-horse-battery-staple"
DIGEST = sha256(TOKEN.encode()).digest()
X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}


def test_a_wide_address_with_a_token_serves_those_who_have_it(tmp_path: Path) -> None:
    with device(tmp_path, host="0.0.0.0", token=DIGEST) as parts:
        parts.front.serve(parts.worker(models.add(tmp_path / "add", 1), ADD_IO), "add", "1.0.0", ADD_IO)
        unix, tcp = parts.client(unix=True), parts.client()
        while unix.ask("GET", "/v2/models/add/ready")[0] != 200:
            pass
        assert unix.infer("add", X)[0] == 200
        for given in (None, TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"):
            headers = {} if given is None else {"Authorization": given}
            status, answer = tcp.ask("POST", "/v2/models/add/infer", {"inputs": [X]}, headers)
            assert (status, "Authorization: Bearer TOKEN" in answer["error"]) == (401, True)
            assert tcp.ask("GET", "/metrics", headers=headers)[0] == 401
        for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
            headers = {"Authorization": given, "Host": "device.example:8100"}
            assert tcp.ask("POST", "/v2/models/add/infer", {"inputs": [X]}, headers)[0] == 200
        tcp.connection.request("GET", "/v2")
        response = tcp.connection.getresponse()
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
        response.read()
        # The page must be there before a browser can be told the token.
        tcp.connection.request("GET", "/docs")
        assert tcp.connection.getresponse().status == 200


def test_a_wide_address_without_a_token_is_refused(tmp_path: Path) -> None:
    front = Front.__new__(Front)
    super(Front, front).__init__("fleet_agent.front")
    front.send(do="listen", host="0.0.0.0", port=0, socket=None)
    answer = front.receive()
    assert (answer["is"], answer["code"]) == ("failed", "not-loopback")
    assert "token_file" in answer["text"]
    front.control.close()
    front.wait()


def test_limits_of_the_configuration_are_the_fronts(tmp_path: Path) -> None:
    with device(tmp_path, limits={"body_bytes": 65_536}) as parts:
        client: Client = parts.client()
        assert client.ask("POST", "/predict", bytes(65_537))[0] == 413
        assert client.ask("POST", "/predict", bytes(65_536))[0] == 400


# agent.toml


def configured(folder: Path, text: str) -> api.Api:
    path = folder / "agent.toml"
    path.write_text(text)
    return api.read(file.read(path))


def token_file(folder: Path, text: str, mode: int = 0o600) -> None:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)


def test_without_a_table_there_are_the_defaults(tmp_path: Path) -> None:
    assert configured(tmp_path, "") == api.read(file.read(None)) == api.Api(None, True, {})


def test_the_table(tmp_path: Path) -> None:
    token_file(tmp_path, TOKEN + "\n")
    text = (
        '[api]\ntoken_file = "token"\nbody_bytes = 100_000\nqueued_requests = 8\nanswer_s = 2.5\nshared_memory = false'
    )
    limits = {"body_bytes": 100_000, "queued_requests": 8, "answer_s": 2.5}
    assert configured(tmp_path, text) == api.Api(DIGEST, False, limits)
    assert TOKEN not in repr(configured(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("body_bytes = 1", "agent.toml:2: body_bytes must be 65536 to"),
        ("body_bytes = 100_000_000", "body_bytes must be"),
        ("queued_requests = 0", "queued_requests must be 1 to 1024"),
        ("answer_s = 0", "answer_s must be 0.1 to 3600"),
        ("answer_s = nan", "answer_s must be 0.1 to 3600"),
        ("shared_memory = 1", "must be true/false"),
        ("tokenfile = 'x'", "did you mean 'token_file'"),
        ("token_file = 'none'", "there is no file"),
    ],
    ids=range(8),
)
def test_what_the_table_may_not_say(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, f"[api]\n{text}\n")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (TOKEN, 0o640, "chmod 600"),
        (TOKEN, 0o604, "chmod 600"),
        ("short", 0o600, "holds no token"),
        ("", 0o600, "holds no token"),
        ("x" * 513, 0o600, "holds no token"),
        (f"{TOKEN} {TOKEN}", 0o600, "holds no token"),
        ("pässwört-pässwört-pässwört", 0o600, "holds no token"),
    ],
    ids=range(7),
)
def test_a_token_file_that_is_of_no_use(tmp_path: Path, content: str, mode: int, says: str) -> None:
    token_file(tmp_path, content, mode)
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, '[api]\ntoken_file = "token"\n')
    assert says in str(caught.value)
    assert not content or content not in str(caught.value)


# the description


async def test_the_description_has_every_path_and_no_other() -> None:
    app = App(Router(LIMITS, Deaf()), LIMITS)
    folder = Path(api.__file__).parent.parent / "front" / "static"
    described = json.loads((folder / "openapi.json").read_text())
    assert {(method, path) for path, methods in described["paths"].items() for method in methods} == app.table.known
    for path, methods in described["paths"].items():
        for told in methods.values():
            named = {parameter["name"] for parameter in told.get("parameters", ()) if parameter["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert told["tags"][0] in {tag["name"] for tag in described["tags"]}
    text = json.dumps(described)
    for name in described["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    assert set(_references(described)) <= {
        f"#/components/schemas/{name}" for name in described["components"]["schemas"]
    }


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        return [node["$ref"]] if "$ref" in node else [one for value in node.values() for one in _references(value)]
    return [one for value in node for one in _references(value)] if isinstance(node, list) else []


def test_the_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    with device(tmp_path) as parts:
        connection = parts.client().connection
        connection.request("GET", "/docs")
        response = connection.getresponse()
        page = response.read().decode()
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "://" not in page
        assert len(page) < 12_288
        assert parts.client().ask("GET", "/openapi.json")[1]["openapi"] == "3.1.0"
