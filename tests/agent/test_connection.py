"""The connection: brokers that go, clocks that are wrong, certificates that end, objects that are not there."""

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from dunlin_contract import envelopes, keys
from dunlin_contract.directive import Lease
from dunlin_contract.enrolment import EnrolReply
from dunlin_contract.limits import LIMITS
from dunlin_contract.settings import Settings
from fleet_agent.paths import Paths
from fleet_agent.unlocker.keystore import FileKeystore
from tests.agent.fleet import DAY_S, QUICK, Agent, Fleet, Signers, commit, sha256, until

YEAR_S = 365 * DAY_S


def started(fleet: Fleet) -> Fleet:
    fleet.start()
    fleet.enrol()
    return fleet


def test_a_broker_that_restarts_during_a_download_changes_nothing(fleet: Fleet) -> None:
    one = fleet.release(1.0, ballast=400_000)
    half = dict(list(one.objects.items())[:60])
    with Agent(fleet) as agent:
        for name, data in half.items():
            fleet.publish_object(name, data)
        fleet.desire(one)
        fleet.until_reported("objects are missing", lambda reported: reported.missing)
        fleet.broker.restart()
        fleet.offer(one)
        agent.until_serves(1.0)


def test_what_is_missing_is_named_and_taken_once_it_is_there(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        fleet.desire(one)
        fleet.until_reported("the manifest is missing", lambda reported: sha256(one.envelope) in reported.missing)
        for name in (sha256(one.envelope), *(sha256(page) for page in one.pages)):
            fleet.publish_object(name, one.objects[name])
        fleet.until_reported("a chunk is missing", lambda reported: set(reported.missing) & set(one.chunks))
        fleet.offer(one)
        agent.until_serves(1.0)
        fleet.until_reported("nothing is missing", lambda reported: not reported.missing)


def test_at_most_a_window_of_objects_is_asked_for_at_a_time(fleet: Fleet) -> None:
    one = fleet.release(1.0, ballast=200_000)
    trace = fleet.folder / "trace"
    hook = f"""
import fleet_agent.supervisor.link as link
asked, most = set(), 0
subscribe, unsubscribe = link.Link.subscribe, link.Link.unsubscribe
def traced(self, names):
    global most
    asked.update(name for name in names if "/obj/" in name)
    most = max(most, len(asked))
    open({str(trace)!r}, "w").write(str(most))
    subscribe(self, names)
def done(self, names):
    asked.difference_update(names)
    unsubscribe(self, names)
link.Link.subscribe, link.Link.unsubscribe = traced, done
"""
    with Agent(fleet, hook=hook) as agent:
        fleet.offer(one)
        fleet.desire(one, settings=replace(QUICK, window=3))
        agent.until_serves(1.0)
    assert 1 < int(trace.read_text()) <= Settings().window


def test_settings_that_are_defaults_again_are_followed_too(fleet: Fleet) -> None:
    with Agent(fleet):
        fleet.desire(settings=replace(QUICK, window=3))
        until((fleet.state / "settings.cbor").exists, "settings kept")
        fleet.desire(settings=None)
        until(lambda: not (fleet.state / "settings.cbor").exists(), "settings dropped")


def test_a_device_that_wakes_in_1970_connects_and_follows(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    hook = "import time\ntime.time = lambda: 1000.0\n"
    with Agent(fleet, hook=hook) as agent:
        fleet.offer(one)
        fleet.desire(one)
        agent.until_serves(1.0)
        assert fleet.reported[-1].time_s == 1000
        fleet.until_event("update-probation")
        assert fleet.events[-1].time_s > 1_600_000_000  # signed time, not the clock


def test_a_broker_certificate_that_begins_after_the_clock_is_believed(tmp_path: Path) -> None:
    """To the TLS library a clock in the past and a certificate from the future are the same thing."""
    fleet = started(Fleet(tmp_path, begins_s=YEAR_S, ends_s=2 * YEAR_S))
    try:
        with Agent(fleet):
            fleet.until_event("boot")
    finally:
        fleet.stop()


def test_a_broker_certificate_that_ended_before_signed_time_is_refused(tmp_path: Path) -> None:
    fleet = started(Fleet(tmp_path, begins_s=-YEAR_S, ends_s=-30 * DAY_S))
    try:
        with Agent(fleet) as agent:
            until(lambda: "the server's certificate ended" in agent.text(), "refused")
            assert not fleet.reported
    finally:
        fleet.stop()


def test_a_broker_of_another_fleet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    theirs = Fleet(tmp_path / "theirs")
    theirs.start()
    ours = Fleet(tmp_path / "ours")
    ours.enrol()
    try:
        with Agent(ours, arguments=["--broker", f"127.0.0.1:{theirs.broker.port}"]) as agent:
            until(lambda: "CERTIFICATE_VERIFY_FAILED" in agent.text(), "refused")
    finally:
        theirs.stop()


class _Renewals(http.server.BaseHTTPRequestHandler):
    fleet: Fleet
    asked: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        identity = FileKeystore(Paths(self.fleet.state)).identity().public_key()
        request = envelopes.open_renew(body, keys.spki(identity))
        self.asked.append(request.device)
        issued = self.fleet.ca.issue(self.fleet.device, keys.load_spki(request.spki))
        reply = EnrolReply(
            status="issued",
            chain=(issued.public_bytes(serialization.Encoding.DER),),
            broker_host="127.0.0.1",
            broker_port=self.fleet.broker.port,
        )
        self.send_response(200)
        self.end_headers()
        self.wfile.write(reply.to_bytes())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def renewing(fleet: Fleet) -> Iterator[tuple[str, list[str]]]:
    """A server that renews, at an address."""
    handler = type("Handler", (_Renewals,), {"fleet": fleet, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*fleet.ca.files(fleet.folder / "pki", "web"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", handler.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(("begins_s", "ends_s"), [(-90 * DAY_S, -DAY_S), (-80 * DAY_S, 10 * DAY_S)])
def test_an_expired_or_old_certificate_is_renewed(tmp_path: Path, begins_s: float, ends_s: float) -> None:
    fleet = Fleet(tmp_path)
    fleet.start()
    try:
        with renewing(fleet) as (url, asked):
            paths = fleet.enrol(begins_s=begins_s, ends_s=ends_s, url=url)
            with Agent(fleet):
                fleet.until_event("boot")
                until(lambda: asked == [fleet.device], "renewed once")
                until(lambda: _ends(paths) > time.time() + 80 * DAY_S, "the new certificate is in place")
    finally:
        fleet.stop()


def test_a_clock_in_the_past_still_learns_of_its_expired_certificate_from_the_broker(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.start()
    try:
        with renewing(fleet) as (url, asked):
            fleet.enrol(begins_s=-90 * DAY_S, ends_s=-DAY_S, url=url)
            with Agent(fleet, hook="import time\ntime.time = lambda: 1000.0\n"):
                fleet.until_event("boot")
                assert asked == [fleet.device]
    finally:
        fleet.stop()


def _ends(paths: Paths) -> float:
    certificate = x509.load_pem_x509_certificate(paths.certificate.read_bytes())
    return certificate.not_valid_after_utc.timestamp()


def test_a_denied_publish_is_noticed(fleet: Fleet) -> None:
    settings = fleet.broker.settings
    access = "user _server\ntopic readwrite dunlin/v1/#\npattern read dunlin/v1/%u/dn/#\npattern read dunlin/v1/obj/+\n"
    settings.access_file.write_text(access)
    fleet.broker.reload()
    with Agent(fleet) as agent:
        until(lambda: "does not let this device publish" in agent.text(), "said in the log")


def test_a_refused_subscription_is_told_and_asked_for_again(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    # Mosquitto refuses none by its access list, other brokers do: the first two are answered here instead of there.
    hook = """
import threading
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
import fleet_agent.supervisor.link as link
link.AGAIN_S = 0.2
real, refused = paho.Client.subscribe, []
def subscribe(client, topics):
    if len(refused) == 2:
        return real(client, topics)
    refused.append(topics)
    codes = [ReasonCode(PacketTypes.SUBACK, identifier=135)] * len(topics)
    answer = (client, None, 60000 + len(refused), codes, None)
    threading.Timer(0.1, lambda: client.on_subscribe(*answer)).start()
    return 0, answer[2]
paho.Client.subscribe = subscribe
"""
    fleet.offer(one)
    fleet.desire(one)
    with Agent(fleet, hook=hook) as agent:
        agent.until_serves(1.0)
        assert "does not let this device listen to dunlin/v1/" in fleet.until_event("note", "denied").text


def test_a_new_root_is_followed_only_when_both_sign_and_an_old_epoch_ends(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.desire(one, seq=1_000_000)
        new = Signers(release=fleet.signers.release)
        forged = new.sign_root(fleet.ca.key, version=2, epoch=1)
        fleet.publish_object(sha256(forged), forged)
        fleet.desire(one, root=forged)
        fleet.until_event("note", "signer-unknown")
        good = new.sign_root(fleet.ca.key, version=2, epoch=1, also=[fleet.signers.root])
        fleet.publish_object(sha256(good), good)
        fleet.desire(one, root=good)
        fleet.until_event("root-changed")
        fleet.until_reported("root 2", lambda reported: reported.root_version == 2)
        fleet.desire(two)
        fleet.until_event("directive-refused", "signer-unknown")
        fleet.signers, fleet.epoch = new, 1
        fleet.offer(two)
        fleet.desire(two, seq=1)
        agent.until_serves(2.0)
        assert (fleet.reported[-1].epoch, fleet.reported[-1].seq) == (1, 1)


def test_row_04_a_device_fast_forwarded_by_a_stolen_director_key_recovers_by_a_root_rotation(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.desire(one, seq=LIMITS.sequence)
        fleet.until_reported("fast-forwarded", lambda reported: reported.seq == LIMITS.sequence)
        new = Signers(root=fleet.signers.root, release=fleet.signers.release)
        rotated = new.sign_root(fleet.ca.key, version=2, epoch=1)
        fleet.publish_object(sha256(rotated), rotated)
        # Signed by a director that the device has never heard of, and in an epoch that it is not in.
        fleet.signers, fleet.epoch = new, 1
        fleet.offer(two)
        fleet.desire(two, seq=1, root=rotated)
        fleet.until_event("root-changed")
        agent.until_serves(2.0)
        assert (fleet.reported[-1].epoch, fleet.reported[-1].seq) == (1, 1)


def test_a_lease_that_ends_stops_serving_by_time_since_boot_alone_and_a_directive_revives_it(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    jump = fleet.folder / "jump"
    hook = f"""
import os, time, fleet_agent.clock as clock, fleet_agent.supervisor.leases as leases
leases._LOOK_S = 0.2
real = clock.Clock.__init__
def init(self):
    real(self, since_boot=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + 7200 * os.path.exists({str(jump)!r}))
clock.Clock.__init__ = init
"""
    with Agent(fleet, hook=hook) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.desire(one, lease=Lease(seconds=3600, action="stop"))
        fleet.until_reported("the lease is known", lambda reported: reported.seq == fleet.seq)
        assert agent.infer() == 1.0
        jump.touch()
        until(lambda: agent.infer() is None, "it stopped")
        fleet.until_event("lease-expired", "stopped")
        fleet.desire(one, lease=Lease(seconds=200_000, action="stop"))
        agent.until_serves(1.0)
