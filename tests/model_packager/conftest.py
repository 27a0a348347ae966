"""Keys, bundles and a server's side for the packager's tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dunlin_contract import keys
from dunlin_contract.keys import PrivateKey
from dunlin_contract.root import ServerKeys
from model_packager import cli

REPOSITORY = Path(__file__).resolve().parents[2]
DIGITS = REPOSITORY / "examples" / "digits"
SHARED = REPOSITORY.parent / "shared" / "data"


@dataclass(frozen=True)
class Fleet:
    """A key folder made by the command, and the private keys of the server that it was made for."""

    folder: Path
    director: PrivateKey
    vault: PrivateKey
    server_keys: Path


def make_fleet(base: Path, *options: str) -> Fleet:
    director, vault, ca = (keys.generate() for _ in range(3))
    server_keys = base / "server-keys.cbor"
    record = ServerKeys(director=keys.spki(director), vault=keys.spki(vault), ca=keys.spki(ca))
    server_keys.write_bytes(record.to_bytes())
    folder = base / "keys"
    command = ["keys", "init", str(folder), "--server-keys", str(server_keys), *(options or ["--no-passphrase"])]
    assert cli.main(command) == 0
    return Fleet(folder, director, vault, server_keys)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return make_fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="session")
def digits_v1(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of digits v1, both variants, built by the command."""
    folder = tmp_path_factory.mktemp("bundles")
    assert cli.main(["build", str(DIGITS / "v1.toml"), "--keys", str(fleet.folder), "--out", str(folder)]) == 0
    return folder / "digits-1.0.0.dnb"


Recipe = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Writes a recipe with one variant (digits v1, TFLite) whose parts a test may replace."""

    def write(
        kind: str = "tflite-int8",
        model: Path = DIGITS / "models" / "v1-int8.tflite",
        samples: Path | None = DIGITS / "models" / "samples.npz",
        top: str = "",
        budget: str = "p95_ms = 1000",
        variant: str = "",
    ) -> Path:
        path = tmp_path / "model.toml"
        lines = ['name = "digits"', 'version = "1.0.0"', "counter = 1"]
        if samples is not None:
            lines.append(f"samples = '{samples}'")
        lines += [top, "[budget]", budget, "[[variant]]", f'kind = "{kind}"', f"model = '{model}'", variant]
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the folder of real models lies beside the repository only on some machines")
    return SHARED
