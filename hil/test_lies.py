"""Gateways and lines that lie: what does not hold is refused and told of, and the old model serves."""

import hashlib
from dataclasses import replace

import pytest

from demo.programs import command, run
from dunlin_contract import link
from dunlin_contract.envelopes import open_first_root, root_digest
from hil.fleet import V1, V2, Rig, World
from hil.liar import Rule, truthful
from hil.lies import Corrupt, Reorder, Withhold, both, noise


def flip(data: bytes) -> bytes:
    """The same bytes with one bit turned over, in the middle."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.smoke
def test_a_corrupted_chunk_is_refused_and_the_true_one_fetched(serving: Rig, world: World) -> None:
    with world.bundle(V2) as bundle:
        names = bundle.leaves[2:5]
    corrupt = Corrupt(names)
    serving.line.down = corrupt
    serving.update(V2)
    assert corrupt.done == len(names)
    assert serving.wait_event("object-corrupt")["code"] == "leaf"
    serving.nothing_lost()


def test_a_corrupted_manifest_is_refused_and_the_true_one_fetched(serving: Rig, world: World) -> None:
    with world.bundle(V2) as bundle:
        name = hashlib.sha256(bundle.envelope).digest()
    corrupt = Corrupt([name])
    serving.line.down = corrupt
    serving.update(V2)
    assert corrupt.done == 1


def test_a_directive_that_nobody_signed_is_refused(serving: Rig, world: World) -> None:
    envelope, _ = serving.directive()
    assert serving.line.offer(link.OfferKind.DESIRED, flip(envelope))
    serving.wait_event("directive-refused", "signature", "encoding", "cose-shape")
    still_serves(serving, world.digests[V1])
    serving.update(V2)


@pytest.mark.smoke
def test_a_replayed_old_directive_changes_nothing(serving: Rig, world: World) -> None:
    older, _ = serving.directive()
    serving.update(V2)
    assert serving.line.offer(link.OfferKind.DESIRED, older)
    serving.wait_event("directive-refused", "sequence")
    still_serves(serving, world.digests[V2])
    serving.nothing_lost()


def test_another_boards_directive_is_refused(serving: Rig, world: World) -> None:
    serving.forge(device="somebody-else")
    serving.wait_event("directive-refused", "device")
    still_serves(serving, world.digests[V1])


def test_the_directors_key_cannot_run_an_unreleased_bundle(
    serving: Rig, world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Bad signature: everything is true but the manifest's signer, whom the root does not name."""
    folder = tmp_path_factory.mktemp("mallory")
    mallory, bundle = folder / "keys", folder / "evil.dnb"
    server_keys = world.fleet.server_dir / "server-keys.cbor"
    run(command("packager", "keys", "init", mallory, "--server-keys", server_keys, "--no-passphrase"))
    recipe = world.fleet.directory / "recipes" / f"digits-{V2}.toml"
    run(command("packager", "build", recipe, "--keys", mallory, "--out", bundle))
    envelope = (mallory / "root.cose").read_bytes()
    wanted = serving.desired(bundle, open_first_root(envelope, root_digest(envelope)), mallory)
    serving.forge(desired={serving.model: wanted})
    serving.wait_event("update-refused", "signer-unknown")
    still_serves(serving, world.digests[V1])


def nothing_desired(message: link.Message) -> tuple[link.Message, ...]:
    """A gateway that offers no directive."""
    desired = isinstance(message, link.Offer) and message.kind == link.OfferKind.DESIRED
    return () if desired else (message,)


def test_another_boards_grant_opens_nothing(serving: Rig, world: World) -> None:
    wanted = serving.desired(world.bundles[V2], world.root(), world.fleet.keys_dir)
    stolen = wanted.grant[:-1] + bytes([wanted.grant[-1] ^ 1])
    # The server answers a number that it did not give: a slow board would not come to the grant before that.
    serving.line.down = nothing_desired
    serving.forge(desired={serving.model: replace(wanted, grant=stolen)})
    serving.wait_event("update-refused", "grant-open")
    serving.line.down = truthful
    still_serves(serving, world.digests[V1])


@pytest.mark.parametrize("lie", ["repeats and reorders", "withholds", "all of it"])
def test_a_gateway_that(serving: Rig, lie: str) -> None:
    rules: dict[str, Rule] = {"repeats and reorders": Reorder(), "withholds": Withhold(12)}
    serving.line.down = both(Withhold(6), Reorder()) if lie == "all of it" else rules[lie]
    serving.update(V2)
    serving.nothing_lost()


@pytest.mark.parametrize("bad", [0.01, 0.04])
def test_noise_on_the_line(serving: Rig, bad: float) -> None:
    """Bytes are lost, changed and added, and frames cut in half."""
    serving.line.noise = noise(seed=7, lost=bad, changed=bad, cut=bad / 2, added=bad)
    serving.update(V2)
    serving.line.tell_the_truth()
    serving.nothing_lost()


def test_what_a_gateway_changes_on_the_way_up_is_not_believed(serving: Rig) -> None:
    def change(message: link.Message) -> tuple[link.Message, ...]:
        if isinstance(message, link.Up) and message.kind == link.UpKind.REPORTED:
            return (link.Up(message.kind, message.id, message.offset, message.total, flip(message.data)),)
        return (message,)

    serving.line.up = change
    before = serving.known()["reported_at"]
    serving.wait("an alarm", lambda: [one for one in serving.known()["alarms"] if one["kind"] == "not-signed"])
    assert serving.known()["reported_at"] - before < 1
    serving.line.tell_the_truth()
    serving.update(V2)


def still_serves(rig: Rig, release: str) -> None:
    """The model that was there goes on answering, and the server knows that it is there."""
    if rig.board.simulated:
        rig.goes_on(release)
    assert rig.believed()["active"] == release
