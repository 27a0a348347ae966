"""Keys and certificates: who can be certified, what is readable by whom, what is renewed by itself."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from dunlin_contract import cose, keys
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.root import ServerKeys
from fleet_server import setup
from fleet_server.errors import ConfigError, ConflictError, InvalidError
from fleet_server.keys import ca, files, store
from fleet_server.services import roots
from tests.fleet_server.world import ACTOR, NOW, World


def certificate(world: World, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(world.ctx.keys.paths.certificate(name).read_bytes())


def test_private_keys_are_private(sqlite_world: World) -> None:
    directory = sqlite_world.ctx.config.keys_dir
    assert directory.stat().st_mode & 0o777 == 0o700
    found = {path.name: path.stat().st_mode & 0o777 for path in directory.glob("*.pem")}
    assert set(found) == {"director.pem", "vault.pem", "ca.pem", "broker.pem", "client.pem", "https.pem"}
    assert set(found.values()) == {0o600}
    assert (sqlite_world.ctx.config.dir / "server.toml").stat().st_mode & 0o777 == 0o600


def test_the_public_keys_are_handed_to_the_root_ceremony(sqlite_world: World) -> None:
    public = ServerKeys.from_bytes((sqlite_world.ctx.config.dir / setup.SERVER_KEYS).read_bytes())
    server = sqlite_world.ctx.keys
    assert (public.director, public.vault, public.ca) == (server.director_spki, server.vault_spki, server.ca.spki)


def test_each_certificate_is_for_one_purpose(sqlite_world: World) -> None:
    usage = {
        name: certificate(sqlite_world, name).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        for name in ("broker", "https", "client")
    }
    assert list(usage["broker"]) == list(usage["https"]) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert list(usage["client"]) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    device = sqlite_world.ctx.keys.ca.issue_device("cam-1", keys.generate().public_key(), NOW)
    assert list(device.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert not device.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_own_certificates_are_renewed_in_their_last_year_and_for_new_hosts(sqlite_world: World) -> None:
    owner = sqlite_world.ctx.keys
    assert store.ensure_certificates(owner, ["localhost"], NOW) == []
    assert store.ensure_certificates(owner, ["fleet.example"], NOW) == ["broker", "https"]
    assert ca.hosts_of(certificate(sqlite_world, "https")) == {"fleet.example", "localhost", "127.0.0.1", "::1"}
    late = NOW + (ca.OWN_DAYS - 300) * 86400
    assert store.ensure_certificates(owner, ["fleet.example"], late) == ["broker", "https", "client"]
    assert store.ensure_certificates(owner, ["fleet.example"], late) == []


def test_a_key_without_its_certificate_is_replaced(sqlite_world: World) -> None:
    owner = sqlite_world.ctx.keys
    files.write_secret(owner.paths.key("https"), keys.dump_pem(keys.generate(), None))
    assert store.ensure_certificates(owner, ["localhost"], NOW) == ["https"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(owner.paths.certificate("https"), owner.paths.key("https"))


def test_a_ca_does_not_answer_for_anothers_certificates(sqlite_world: World) -> None:
    other_key = keys.generate()
    other = ca.CertificateAuthority(other_key, ca.make_ca(other_key, NOW))
    foreign = other.issue_device("cam-1", keys.generate().public_key(), NOW)
    assert other.issued(foreign)
    assert not sqlite_world.ctx.keys.ca.issued(foreign)


def test_missing_and_broken_keys_are_one_clear_line(sqlite_world: World) -> None:
    paths = sqlite_world.ctx.keys.paths
    paths.key("vault").write_bytes(b"not a key")
    with pytest.raises(ConfigError, match=r"cannot use .*vault\.pem"):
        store.Keys(paths)
    paths.key("vault").unlink()
    with pytest.raises(ConfigError, match="restore it from a backup"):
        store.Keys(paths)


def test_a_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "key.pem"
    files.write_secret(target, b"old")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="No space"):
        files.write_secret(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_root_must_follow_and_name_this_server(sqlite_world: World) -> None:
    world = sqlite_world

    def install(envelope: bytes) -> int:
        with world.ctx.db.write() as session:
            return roots.install(session, world.ctx, envelope, ACTOR, world.clock.now).version

    assert install(world.sign_root(version=2)) == 2
    with pytest.raises(ConflictError, match="import the one that follows"):
        install(world.sign_root(version=2, epoch=3))
    with pytest.raises(ContractError) as caught:
        install(world.sign_root(version=4))
    assert caught.value.rule == "root-version"
    stranger = World(world.directory / "other")
    stranger.root_key = world.root_key
    with pytest.raises(InvalidError, match="director"):
        install(stranger.sign_root(version=3))
    world.root_key, known = keys.generate(), world.root_key
    with pytest.raises(ContractError):
        install(world.sign_root(version=3))
    world.root_key = known
    assert install(world.sign_root(version=3)) == 3
    stranger.close()


def test_directives_are_signed_for_their_role_only(sqlite_world: World) -> None:
    server = sqlite_world.ctx.keys
    signers = {keys.kid(server.director_spki): server.director_spki}
    envelope = server.sign_ack(b"x")
    assert cose.verify1(envelope, Role.ACK, signers, 4096) == b"x"
    with pytest.raises(ContractError):
        cose.verify1(envelope, Role.DIRECTIVE, signers, 4096)
