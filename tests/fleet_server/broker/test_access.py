"""Attacks on the broker by clients with genuine certificates. Each test is named after its row of the threat table.

Mosquitto answers a subscription that the access list forbids with success and then delivers nothing, so a test of
listening proves that nothing arrives: the server publishes to the forbidden topic first and to an allowed one after
it, and what arrives at the attacker in between is what leaked (one broker, one thread: order is kept).
"""

import ssl

import pytest
from paho.mqtt.reasoncodes import ReasonCode

from dunlin_contract import topics
from dunlin_contract.topics import Address
from fleet_server.broker import Broker
from tests.fleet_server.broker.conftest import Connect
from tests.support.certificates import Authority, Identity
from tests.support.mqtt import Client

NOT_AUTHORISED = 135
OTHERS = [
    "dunlin/v1/dev-b/up/events",
    "dunlin/v1/dev-b/up/reported",
    "dunlin/v1/dev-b/dn/desired",
    "dunlin/v1/dev-b/c/mcu-1/up/events",
    "dunlin/v1/dev-b/c/mcu-1/up/enrol",
    "dunlin/v1/dev-b/c/mcu-1/up/status",
    "dunlin/v1/dev-a/dn/desired",
    "dunlin/v1/dev-a/dn/ack",
    "dunlin/v1/dev-a/c/mcu-1/dn/desired",
    "dunlin/v1/dev-a/c/mcu-1/dn/enrol",
    "dunlin/v1/dev-a/c/mcu-1",
    "dunlin/v1/dev-a",
    "dunlin/v1/obj/" + 64 * "0",
    "dunlin/v1/_server/up/events",
    "dunlin/v1/dev-a-2/up/events",
    "dunlin/v2/dev-a/up/events",
    "elsewhere",
    "$SYS/broker/uptime",
]


def leaked(server: Client, attacker: Client, name: str) -> list[str]:
    """Topics that arrived at `attacker` (`name`), up to a message that it may receive and that is sent now."""
    fence = f"dunlin/v1/{name}/dn/fence"
    assert not attacker.subscribe(fence).is_failure
    assert not server.publish(fence, b"fence").is_failure
    heard: list[str] = []
    while True:
        topic, _, _ = attacker.inbox.get(timeout=20)
        if topic == fence:
            return heard
        heard.append(topic)


@pytest.mark.parametrize("topic", OTHERS)
def test_row_35_topic_spoofing_is_denied_with_reason_135(connected: Connect, topic: str) -> None:
    server, device = connected(), connected("dev-a")
    server.subscribe("dunlin/v1/#")
    server.received()
    assert device.publish(topic, b"spoofed").value == NOT_AUTHORISED
    device.publish("dunlin/v1/dev-a/up/events", b"own")
    while True:
        got, payload, _ = server.inbox.get(timeout=20)
        assert payload != b"spoofed"
        if (got, payload) == ("dunlin/v1/dev-a/up/events", b"own"):
            return


@pytest.mark.parametrize(
    "topic",
    ["status", "reported", "events", "results", "telemetry"],
)
def test_row_35_a_device_speaks_on_its_own_topics(connected: Connect, topic: str) -> None:
    server, device = connected(), connected("dev-own")
    own = [f"dunlin/v1/dev-own/up/{topic}", f"dunlin/v1/dev-own/c/mcu-1/up/{topic}"]
    for name in own:
        server.subscribe(name)
        assert device.publish(name, b"own").value in (0, 16)
    assert [server.inbox.get(timeout=20)[0] for _ in own] == own


@pytest.mark.parametrize("kind", topics.CHILD_UP)
def test_row_35_a_gateway_speaks_for_devices_below_its_own_prefix_and_for_no_others(
    connected: Connect, kind: str
) -> None:
    server, gateway, other = connected(), connected("gw-35"), connected("gw-35b")
    own = Address("mcu-1", "gw-35").up(kind)
    server.subscribe(own)
    assert other.publish(own, b"spoofed").value == NOT_AUTHORISED
    assert gateway.publish(own, b"own").value in (0, 16)
    assert server.inbox.get(timeout=20)[:2] == (own, b"own")


@pytest.mark.parametrize(
    "wanted",
    [
        "dunlin/v1/+/c/+/dn/+",
        "dunlin/v1/gw-36/c/#",
        "dunlin/v1/gw-36/c/mcu-1/dn/enrol",
        "dunlin/v1/gw-36/c/mcu-1/up/enrol",
    ],
)
def test_row_36_a_gateway_hears_nothing_of_what_goes_through_another(connected: Connect, wanted: str) -> None:
    server, gateway, snoop = connected(), connected("gw-36"), connected("gw-36b")
    snoop.subscribe(wanted)
    for kind in topics.CHILD_DOWN:
        server.publish(Address("mcu-1", "gw-36").down(kind), b"for mcu-1", retain=True)
    gateway.publish(Address("mcu-1", "gw-36").up("enrol"), b"a secret of a claim token")
    assert leaked(server, snoop, "gw-36b") == []
    gateway.subscribe(topics.child_filter("gw-36"))
    heard = {gateway.inbox.get(timeout=20)[0] for _ in topics.CHILD_DOWN}
    assert heard == {Address("mcu-1", "gw-36").down(kind) for kind in topics.CHILD_DOWN}


@pytest.mark.parametrize(
    "wanted",
    ["#", "dunlin/#", "dunlin/v1/+/dn/+", "dunlin/v1/+/up/+", "dunlin/v1/victim/#", "+/+/+/+/+", "$SYS/#"],
)
def test_row_36_snooping_hears_nothing_but_public_objects(connected: Connect, wanted: str) -> None:
    server, snoop, victim = connected(), connected("snoop"), connected("victim")
    snoop.subscribe(wanted)
    server.publish("dunlin/v1/victim/dn/desired", b"secret", retain=True)
    server.publish("dunlin/v1/victim/c/mcu-1/dn/desired", b"secret")
    victim.publish("dunlin/v1/victim/up/reported", b"secret")
    victim.publish("dunlin/v1/victim/up/status", b"online", retain=True)
    server.publish("dunlin/v1/obj/" + 64 * "1", b"public object", retain=True)
    heard = leaked(server, snoop, "snoop")
    assert [topic for topic in heard if not topic.startswith(("dunlin/v1/obj/", "dunlin/v1/snoop/"))] == []


def test_row_36_retained_messages_of_others_are_not_delivered_on_subscribing(connected: Connect) -> None:
    server = connected()
    server.publish("dunlin/v1/victim-2/dn/desired", b"secret", retain=True)
    server.publish("dunlin/v1/obj/" + 64 * "2", b"public", retain=True)
    snoop = connected("snoop-2")
    snoop.subscribe("dunlin/v1/#")
    heard = leaked(server, snoop, "snoop-2")
    assert "dunlin/v1/obj/" + 64 * "2" in heard
    assert [topic for topic in heard if not topic.startswith("dunlin/v1/obj/")] == []


def test_a_device_hears_its_own_topics_and_its_childrens(connected: Connect) -> None:
    server, gateway = connected(), connected("gateway")
    own = ["dunlin/v1/gateway/dn/desired", "dunlin/v1/gateway/c/mcu-1/dn/ack", "dunlin/v1/obj/" + 64 * "3"]
    for topic in own:
        gateway.subscribe(topic)
        server.publish(topic, b"for you")
    assert [gateway.inbox.get(timeout=20)[0] for _ in own] == own


def test_row_38_id_takeover_with_another_certificate_leaves_the_victim_connected(
    connected: Connect, client: Connect
) -> None:
    server, victim = connected(), connected("victim-38")
    thief = client("thief-38", client_id="victim-38")
    assert not thief.connect().is_failure
    topic = "dunlin/v1/victim-38/dn/desired"
    victim.subscribe(topic)
    thief.subscribe(topic)
    server.publish(topic, b"for the victim")
    assert victim.inbox.get(timeout=20)[1] == b"for the victim"
    assert thief.publish("dunlin/v1/victim-38/up/events", b"stolen").value == NOT_AUTHORISED
    assert leaked(server, thief, "thief-38") == []
    assert not victim.lost.is_set()


def test_row_38_a_durable_session_cannot_be_resumed_by_another_certificate(
    connected: Connect, client: Connect, authority: Authority
) -> None:
    server = connected()
    identity = authority.issue("victim-durable")
    victim = client(identity=identity, client_id="victim-durable")
    victim.connect(session_expiry_s=600)
    victim.subscribe("dunlin/v1/victim-durable/dn/desired")
    victim.close()
    server.publish("dunlin/v1/victim-durable/dn/desired", b"queued")
    thief = client("thief-durable", client_id="victim-durable")
    thief.connect(session_expiry_s=600)
    assert leaked(server, thief, "thief-durable") == []
    back = client(identity=identity, client_id="victim-durable")
    back.connect(session_expiry_s=600)
    assert back.inbox.get(timeout=20)[1] == b"queued"


def test_row_38_the_servers_name_in_the_client_id_gives_nothing(connected: Connect, client: Connect) -> None:
    server = connected()
    thief = client("thief-server", client_id="_server")
    thief.connect()
    assert thief.publish("dunlin/v1/dev-a/dn/desired", b"forged").value == NOT_AUTHORISED
    assert leaked(server, thief, "thief-server") == []
    assert not server.lost.is_set()


def test_row_39_a_denied_publish_is_told_to_the_publisher(connected: Connect) -> None:
    device = connected("dev-39")
    code = device.publish("dunlin/v1/other/up/events", b"x")
    assert isinstance(code, ReasonCode)
    assert code.is_failure
    assert code.value == NOT_AUTHORISED


def test_row_39_a_message_over_the_limit_ends_the_connection_instead_of_vanishing(connected: Connect) -> None:
    server, device = connected(), connected("dev-big")
    server.subscribe("dunlin/v1/dev-big/up/events")
    device._client.publish("dunlin/v1/dev-big/up/events", bytes(2 * 1024 * 1024), qos=1)
    assert device.lost.wait(20)
    assert leaked_to_server(server, "dev-big") == []


def leaked_to_server(server: Client, name: str) -> list[str]:
    fence = f"dunlin/v1/{name}/up/fence"
    server.subscribe(fence)
    server.publish(fence, b"fence")
    heard: list[str] = []
    while True:
        topic, _, _ = server.inbox.get(timeout=20)
        if topic == fence:
            return heard
        heard.append(topic)


@pytest.mark.parametrize(
    "place", ["dunlin/v1/{name}/dn/desired", "dunlin/v1/{name}/dn/ack", "dunlin/v1/obj/" + 64 * "4"]
)
def test_row_40_retained_poison_cannot_be_planted_by_a_device(connected: Connect, place: str) -> None:
    attacker = connected("attacker-40")
    for name in ("attacker-40", "victim-40"):
        topic = place.format(name=name)
        assert attacker.publish(topic, b"poison", retain=True).value == NOT_AUTHORISED
        server = connected()
        server.subscribe(topic)
        assert leaked_to_server(server, name) == []


def test_row_43_a_will_to_a_peers_topic_is_not_delivered(connected: Connect, client: Connect) -> None:
    server = connected()
    server.subscribe("dunlin/v1/victim-43/#")
    attacker = client("attacker-43")
    attacker.will("dunlin/v1/victim-43/up/status", b"offline", retain=True)
    if not attacker.connect().is_failure:
        attacker.vanish()
    # A will of a device that may send it marks the time by which the other would have been sent.
    witness = client("witness-43")
    witness.will("dunlin/v1/witness-43/up/status", b"offline")
    server.subscribe("dunlin/v1/witness-43/up/status")
    assert not witness.connect().is_failure
    witness.vanish()
    assert server.inbox.get(timeout=20)[0] == "dunlin/v1/witness-43/up/status"


def test_without_a_certificate_nobody_gets_in(broker: Broker, authority: Authority) -> None:
    stranger = Client(broker.port, authority.certificate, None, client_id="dev-a")
    with pytest.raises((OSError, ssl.SSLError)):
        stranger.connect()


@pytest.mark.parametrize("case", ["expired", "other authority"])
def test_a_certificate_that_is_not_good_is_refused(
    broker: Broker, authority: Authority, tmp_path_factory: pytest.TempPathFactory, case: str
) -> None:
    identity: Identity
    if case == "expired":
        identity = authority.issue("dev-expired", days=-1)
    else:
        identity = Authority(tmp_path_factory.mktemp("other"), "test CA").issue("dev-a")
    with pytest.raises((OSError, ssl.SSLError)):
        Client(broker.port, authority.certificate, identity).connect()


@pytest.mark.parametrize("name", ["+", "#"])
def test_row_37_a_wildcard_as_name_gains_nothing_at_the_broker(connected: Connect, name: str) -> None:
    """The CA never issues these; should one come from elsewhere, the broker still gives it no topics."""
    server, odd = connected(), connected(name)
    assert odd.publish("dunlin/v1/dev-a/up/events", b"x").value == NOT_AUTHORISED
    odd.subscribe("dunlin/v1/+/dn/#")
    server.publish("dunlin/v1/dev-a/dn/desired", b"secret")
    odd.subscribe("elsewhere")  # answered after all that was to be delivered
    assert odd.received() == []
