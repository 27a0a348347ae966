"""The local API of a whole agent: what its agent.toml says holds, and a model that hangs is killed and replaced."""

import http.client
import json
import os
import signal
from pathlib import Path

from tests.agent.fleet import Agent, Fleet, commit, until
from tests.agent.local_api_parts import Client, UnixConnection
from tests.agent.test_cli import refused

TOKEN = "correct-horse-battery-staple"
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}]}


def configure(fleet: Fleet, text: str) -> None:
    fleet.state.joinpath("agent.toml").write_text(f"[api]\n{text}\n")


def test_a_model_that_hangs_is_killed_and_replaced(fleet: Fleet) -> None:
    configure(fleet, "answer_s = 1")
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        (worker,) = agent.children()["worker"]
        os.kill(worker, signal.SIGSTOP)
        client = Client(http.client.HTTPConnection("127.0.0.1", agent.port, timeout=30))
        assert client.ask("POST", "/v2/models/adder/infer", BODY) == (
            504,
            {"error": "model 'adder' did not answer in time"},
        )
        agent.until_serves(1.0)
        (successor,) = agent.children()["worker"]
        assert successor != worker
        assert "it gave no answer in time" in agent.text()
        client.connection.close()


def test_a_token_opens_the_api_to_the_network(fleet: Fleet, tmp_path: Path) -> None:
    line = refused("run", "--state-dir", str(fleet.state), "--listen", "0.0.0.0:0")
    assert "token_file in agent.toml" in line
    secret = fleet.state / "api-token"
    secret.touch(0o600)
    secret.write_text(TOKEN)
    configure(fleet, 'token_file = "api-token"')
    one = fleet.release(1.0)
    path = str(tmp_path / "api.sock")
    with Agent(fleet, arguments=["--socket", path, "--listen", "0.0.0.0:0"]) as agent:
        fleet.offer(one)
        fleet.desire(one)
        until(lambda: _served(path), "the model serves on the Unix socket")
        client = Client(http.client.HTTPConnection("127.0.0.2", _port(agent), timeout=30))
        assert client.ask("POST", "/v2/models/adder/infer", BODY)[0] == 401
        status, answer = client.ask("POST", "/v2/models/adder/infer", BODY, {"Authorization": f"Bearer {TOKEN}"})
        assert (status, answer["outputs"][0]["data"]) == (200, [1.0] * 4)
        assert TOKEN not in agent.text() + json.dumps(answer)
        client.connection.close()


def _served(path: str) -> bool:
    connection = UnixConnection(path)
    try:
        return Client(connection).ask("POST", "/v2/models/adder/infer", BODY)[0] == 200
    except OSError:
        return False
    finally:
        connection.close()


def _port(agent: Agent) -> int:
    said = agent.text().rpartition("listens on 0.0.0.0 port ")[2]
    return int(said.split()[0])
