"""Drives a broker with paho-mqtt and prints the name of each case as it ends, and one JSON verdict.

Owns the cases; knows nothing of how the broker was started nor which one it is. Each case uses
topics and client ids of its own, awaits events with a bound, and raises when something is wrong.
"""

import argparse
import json
import queue
import socket
import sys
import threading
import time
import traceback
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

BOUND_SECS = 20
CASES = {"311": [], "5": []}


def case(*protocols):
    """Registers a case for these protocol versions."""

    def register(function):
        for protocol in protocols:
            CASES[protocol].append(function)
        return function

    return register


class Broker:
    """Where the broker is and how to speak to it."""

    def __init__(self, host, port, transport, protocol):
        self.host, self.port, self.transport, self.protocol = host, port, transport, protocol

    @property
    def is_v5(self):
        return self.protocol == "5"


class Peer:
    """A connected client whose events are awaited, never polled."""

    def __init__(self, broker, client_id=None, clean=True, expiry=0, will=None, keep_alive=60):
        self.broker = broker
        self.messages = queue.Queue()
        self.connected = queue.Queue()
        self.disconnected = queue.Queue()
        self.subscribed = queue.Queue()
        self.unsubscribed = queue.Queue()
        version = mqtt.MQTTv5 if broker.is_v5 else mqtt.MQTTv311
        options = {} if broker.is_v5 else {"clean_session": clean}
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=unique("paho") if client_id is None else client_id,
            protocol=version,
            transport=broker.transport,
            reconnect_on_failure=False,
            **options,
        )
        client.on_connect = lambda c, u, flags, code, props: self.connected.put((flags, code, props))
        client.on_disconnect = lambda c, u, flags, code, props: self.disconnected.put(code)
        client.on_message = lambda c, u, message: self.messages.put(message)
        client.on_subscribe = lambda c, u, mid, codes, props: self.subscribed.put((mid, codes))
        client.on_unsubscribe = lambda c, u, mid, codes, props: self.unsubscribed.put((mid, codes))
        if will:
            client.will_set(**will)
        self.client = client
        connect = {"keepalive": keep_alive}
        if broker.is_v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            connect |= {"clean_start": clean, "properties": properties}
        client.connect(broker.host, broker.port, **connect)
        client.loop_start()
        flags, code, self.connack = self.await_in(self.connected, "CONNACK")
        assert code == 0, f"CONNACK says {code}"
        self.session_present = flags.session_present

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    @staticmethod
    def await_in(events, what):
        try:
            return events.get(timeout=BOUND_SECS)
        except queue.Empty:
            raise AssertionError(f"no {what} within {BOUND_SECS} s") from None

    def subscribe(self, topic, qos=0, options=None, properties=None):
        if options is not None:
            result, mid = self.client.subscribe(topic, options=options, properties=properties)
        else:
            result, mid = self.client.subscribe(topic, qos, properties=properties)
        assert result == mqtt.MQTT_ERR_SUCCESS, f"SUBSCRIBE not sent: {result}"
        answered, codes = self.await_in(self.subscribed, "SUBACK")
        assert answered == mid, f"SUBACK for {answered}, not {mid}"
        return [code.value for code in codes]

    def unsubscribe(self, topic):
        result, mid = self.client.unsubscribe(topic)
        assert result == mqtt.MQTT_ERR_SUCCESS, f"UNSUBSCRIBE not sent: {result}"
        answered, codes = self.await_in(self.unsubscribed, "UNSUBACK")
        assert answered == mid, f"UNSUBACK for {answered}, not {mid}"
        return [code.value for code in codes]

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        """Returns when the broker has acknowledged (QoS 1 and 2) or the bytes are written (QoS 0)."""
        info = self.client.publish(topic, payload, qos, retain, properties)
        info.wait_for_publish(BOUND_SECS)
        assert info.is_published(), f"PUBLISH of QoS {qos} not acknowledged within {BOUND_SECS} s"

    def receive(self):
        return self.await_in(self.messages, "message")

    def drop(self):
        """Ends the connection as a crash would: no DISCONNECT, the socket is just gone."""
        sock = self.client.socket()
        raw = getattr(sock, "_socket", sock)
        raw.shutdown(socket.SHUT_RDWR)
        self.await_in(self.disconnected, "end of the connection")


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def equal(actual, expected, what):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"


def qos_case(publish_qos, subscribe_qos):
    def run(broker):
        topic = unique("qos")
        with Peer(broker) as receiver, Peer(broker) as sender:
            equal(receiver.subscribe(topic, subscribe_qos), [subscribe_qos], "granted QoS")
            sender.publish(topic, b"hello", publish_qos)
            message = receiver.receive()
            equal(message.topic, topic, "Topic Name")
            equal(message.payload, b"hello", "payload")
            equal(message.qos, min(publish_qos, subscribe_qos), "QoS")
            equal(message.retain, False, "RETAIN")

    run.__name__ = f"qos_{publish_qos}_to_{subscribe_qos}"
    return run


for publish_qos in range(3):
    for subscribe_qos in range(3):
        case("311", "5")(qos_case(publish_qos, subscribe_qos))


@case("311", "5")
def bursts_arrive_complete_and_in_order(broker):
    topic = unique("burst")
    with Peer(broker) as receiver, Peer(broker) as sender:
        receiver.subscribe(topic, 2)
        for qos in (1, 2):
            infos = [sender.client.publish(topic, str(n), qos) for n in range(300)]
            got = [int(receiver.receive().payload) for _ in infos]
            equal(got, list(range(300)), f"order at QoS {qos}")
            for info in infos:
                info.wait_for_publish(BOUND_SECS)
        sender.publish(topic, b"last", 1)
        equal(receiver.receive().payload, b"last", "message after the bursts")


@case("311", "5")
def payloads_are_opaque(broker):
    topic = unique("payload")
    payloads = [b"", b"\x00", bytes(range(256)), b"x" * 127, b"x" * 128, b"y" * 200_000]
    with Peer(broker) as receiver, Peer(broker) as sender:
        receiver.subscribe(topic, 1)
        for payload in payloads:
            sender.publish(topic, payload, 1)
            got = receiver.receive().payload
            assert got == payload, f"{len(payload)} bytes came back as {len(got)} or changed"


@case("311", "5")
def topics_are_utf8(broker):
    topic = unique("thème/温度/🌡")
    with Peer(broker) as receiver, Peer(broker) as sender:
        receiver.subscribe(topic, 1)
        sender.publish(topic, "warm", 1)
        equal(receiver.receive().topic, topic, "Topic Name")


@case("311", "5")
def wildcards_match_by_level(broker):
    root = unique("wild")
    with Peer(broker) as plus, Peer(broker) as hash_, Peer(broker) as sender:
        plus.subscribe(f"{root}/+/state", 1)
        hash_.subscribe(f"{root}/#", 1)
        topics = [root, f"{root}/1/state", f"{root}/1/command", f"{root}//state", f"{root}/1/state/x"]
        for topic in topics:
            sender.publish(topic, b"", 1)
        sender.publish(f"{root}/end/state", b"", 1)
        equal([hash_.receive().topic for _ in topics], topics, "topics under #")
        expected = [f"{root}/1/state", f"{root}//state", f"{root}/end/state"]
        equal([plus.receive().topic for _ in expected], expected, "topics under +")


@case("311", "5")
def retained_message_reaches_a_later_subscriber(broker):
    topic = unique("retained")
    with Peer(broker) as sender:
        sender.publish(topic, b"old", 1, retain=True)
        sender.publish(topic, b"state", 1, retain=True)
        with Peer(broker) as receiver:
            receiver.subscribe(topic, 1)
            message = receiver.receive()
            equal((message.payload, message.retain), (b"state", True), "retained message")
            sender.publish(topic, b"live", 1, retain=True)
            message = receiver.receive()
            equal((message.payload, message.retain), (b"live", False), "live message")
        sender.publish(topic, b"", 1, retain=True)
        with Peer(broker) as receiver:
            receiver.subscribe(topic, 1)
            sender.publish(topic, b"only", 1)
            message = receiver.receive()
            equal((message.payload, message.retain), (b"only", False), "after clearing")


@case("311", "5")
def unsubscribing_stops_messages(broker):
    root = unique("unsubscribe")
    with Peer(broker) as receiver, Peer(broker) as sender:
        receiver.subscribe(f"{root}/a", 1)
        receiver.subscribe(f"{root}/b", 1)
        receiver.unsubscribe(f"{root}/a")
        sender.publish(f"{root}/a", b"", 1)
        sender.publish(f"{root}/b", b"", 1)
        equal(receiver.receive().topic, f"{root}/b", "first message")


@case("311", "5")
def will_is_sent_when_the_connection_breaks(broker):
    topic = unique("will")
    with Peer(broker) as watcher:
        watcher.subscribe(topic, 2)
        will = {"topic": topic, "payload": b"gone", "qos": 2, "retain": True}
        doomed = Peer(broker, will=will)
        doomed.drop()
        message = watcher.receive()
        equal((message.payload, message.qos, message.retain), (b"gone", 2, False), "will")
        with Peer(broker) as late:
            late.subscribe(topic, 1)
            message = late.receive()
            equal((message.payload, message.retain), (b"gone", True), "retained will")
        watcher.publish(topic, b"", 1, retain=True)


@case("311", "5")
def will_is_not_sent_after_disconnect(broker):
    topic = unique("will")
    with Peer(broker) as watcher, Peer(broker) as sender:
        watcher.subscribe(topic, 1)
        with Peer(broker, will={"topic": topic, "payload": b"gone", "qos": 1}):
            pass
        sender.publish(topic, b"marker", 1)
        equal(watcher.receive().payload, b"marker", "first message")


@case("311", "5")
def session_is_resumed_with_what_was_missed(broker):
    topic, client_id = unique("session"), unique("sleeper")
    session = {"client_id": client_id, "clean": False, "expiry": 60}
    with Peer(broker) as sender:
        with Peer(broker, **session) as sleeper:
            equal(sleeper.session_present, False, "first Session Present")
            sleeper.subscribe(topic, 2)
        for n in range(20):
            sender.publish(topic, str(n), 1 + n % 2)
        with Peer(broker, **session) as sleeper:
            equal(sleeper.session_present, True, "second Session Present")
            got = [sleeper.receive() for _ in range(20)]
            # The client hands over QoS 2 at PUBREL, so only messages of one QoS keep their order.
            for qos in (1, 2):
                numbers = [int(m.payload) for m in got if m.qos == qos]
                equal(numbers, list(range(qos - 1, 20, 2)), f"missed messages of QoS {qos}")
            sender.publish(topic, b"live", 1)
            equal(sleeper.receive().payload, b"live", "message after them")
        # Leaves nothing behind.
        with Peer(broker, client_id=client_id, clean=True) as sleeper:
            equal(sleeper.session_present, False, "Session Present after a clean start")
            sender.publish(topic, b"unheard", 1)
            sleeper.subscribe(topic, 1)
            sender.publish(topic, b"heard", 1)
            equal(sleeper.receive().payload, b"heard", "first message after a clean start")


@case("311", "5")
def second_connection_takes_over(broker):
    client_id, topic = unique("twin"), unique("twin")
    first = Peer(broker, client_id=client_id)
    with Peer(broker, client_id=client_id) as second:
        first.await_in(first.disconnected, "end of the first connection")
        second.subscribe(topic, 1)
        second.publish(topic, b"alive", 1)
        equal(second.receive().payload, b"alive", "message on the second connection")
    first.client.loop_stop()


@case("5")
def reason_code_of_a_take_over_is_told(broker):
    client_id = unique("twin")
    first = Peer(broker, client_id=client_id)
    with Peer(broker, client_id=client_id):
        code = first.await_in(first.disconnected, "end of the first connection")
        equal(code.value, 0x8E, "Reason Code of the end")
    first.client.loop_stop()


@case("311", "5")
def overlapping_subscriptions_deliver_at_their_highest_qos(broker):
    root = unique("overlap")
    with Peer(broker) as receiver, Peer(broker) as sender:
        receiver.subscribe(f"{root}/+", 0)
        receiver.subscribe(f"{root}/a", 2)
        sender.publish(f"{root}/a", b"x", 2)
        sender.publish(f"{root}/a", b"end", 2)
        # A broker may send one copy, or one per subscription; the best QoS must be among them.
        qualities = []
        while True:
            message = receiver.receive()
            qualities.append((message.payload, message.qos))
            if (b"end", 2) in qualities:
                break
        assert (b"x", 2) in qualities, f"no copy of QoS 2 among {qualities}"


@case("5")
def publish_properties_are_passed_on(broker):
    topic = unique("properties")
    with Peer(broker) as receiver, Peer(broker) as sender:
        receiver.subscribe(topic, 1)
        properties = Properties(PacketTypes.PUBLISH)
        properties.PayloadFormatIndicator = 1
        properties.MessageExpiryInterval = 100
        properties.ContentType = "application/json"
        properties.ResponseTopic = f"{topic}/reply"
        properties.CorrelationData = b"\x00\x01\xff"
        properties.UserProperty = [("a", "1"), ("b", "2"), ("a", "3")]
        sender.publish(topic, b"{}", 1, properties=properties)
        got = receiver.receive().properties
        equal(got.PayloadFormatIndicator, 1, "Payload Format Indicator")
        assert 0 < got.MessageExpiryInterval <= 100, f"Message Expiry Interval {got.MessageExpiryInterval}"
        equal(got.ContentType, "application/json", "Content Type")
        equal(got.ResponseTopic, f"{topic}/reply", "Response Topic")
        equal(got.CorrelationData, b"\x00\x01\xff", "Correlation Data")
        equal(got.UserProperty, [("a", "1"), ("b", "2"), ("a", "3")], "User Properties, in order")


@case("5")
def retained_message_keeps_its_properties(broker):
    topic = unique("retained")
    with Peer(broker) as sender, Peer(broker) as receiver:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "text/plain"
        properties.UserProperty = ("k", "v")
        sender.publish(topic, b"x", 1, retain=True, properties=properties)
        receiver.subscribe(topic, 1)
        got = receiver.receive().properties
        equal(got.ContentType, "text/plain", "Content Type")
        equal(got.UserProperty, [("k", "v")], "User Properties")
        sender.publish(topic, b"", 1, retain=True)


@case("5")
def subscription_identifier_comes_with_the_message(broker):
    topic = unique("identifier")
    with Peer(broker) as receiver, Peer(broker) as sender:
        properties = Properties(PacketTypes.SUBSCRIBE)
        properties.SubscriptionIdentifier = 4711
        receiver.subscribe(topic, 1, properties=properties)
        sender.publish(topic, b"x", 1)
        equal(receiver.receive().properties.SubscriptionIdentifier, [4711], "Subscription Identifier")


@case("5")
def no_local_keeps_own_messages_away(broker):
    topic = unique("local")
    with Peer(broker) as one, Peer(broker) as other:
        one.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True))
        one.publish(topic, b"own", 1)
        other.publish(topic, b"other", 1)
        equal(one.receive().payload, b"other", "first message")


@case("5")
def retain_as_published_keeps_the_flag(broker):
    topic = unique("published")
    with Peer(broker) as receiver, Peer(broker) as sender:
        receiver.subscribe(topic, options=SubscribeOptions(qos=1, retainAsPublished=True))
        sender.publish(topic, b"x", 1, retain=True)
        equal(receiver.receive().retain, True, "RETAIN")
        sender.publish(topic, b"y", 1)
        equal(receiver.receive().retain, False, "RETAIN")
        sender.publish(topic, b"", 1, retain=True)


@case("5")
def retain_handling_is_obeyed(broker):
    topic = unique("handling")
    with Peer(broker) as sender:
        sender.publish(topic, b"kept", 1, retain=True)
        with Peer(broker) as receiver:
            receiver.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=2))
            sender.publish(topic, b"live", 1)
            equal(receiver.receive().payload, b"live", "first message with Retain Handling 2")
        with Peer(broker) as receiver:
            receiver.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=1))
            equal(receiver.receive().payload, b"kept", "first message with Retain Handling 1")
            receiver.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=1))
            sender.publish(topic, b"live", 1)
            equal(receiver.receive().payload, b"live", "message after subscribing again")
            receiver.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=0))
            equal(receiver.receive().payload, b"kept", "message with Retain Handling 0")
        sender.publish(topic, b"", 1, retain=True)


@case("5")
def topic_alias_of_the_client_is_understood(broker):
    topic = unique("alias")
    with Peer(broker) as receiver, Peer(broker) as sender:
        maximum = getattr(sender.connack, "TopicAliasMaximum", 0)
        assert maximum > 0, "the broker takes no Topic Alias"
        receiver.subscribe(topic, 1)
        for name in (topic, ""):
            properties = Properties(PacketTypes.PUBLISH)
            properties.TopicAlias = 1
            sender.publish(name, b"x", 1, properties=properties)
            equal(receiver.receive().topic, topic, "Topic Name")


@case("5")
def empty_client_identifier_gets_one_assigned(broker):
    with Peer(broker, client_id="") as one, Peer(broker, client_id="") as other:
        ids = [peer.connack.AssignedClientIdentifier for peer in (one, other)]
        assert all(ids) and ids[0] != ids[1], f"Assigned Client Identifiers {ids}"


@case("5")
def unsubscribing_from_nothing_says_so(broker):
    with Peer(broker) as peer:
        equal(peer.unsubscribe(unique("nothing")), [0x11], "Reason Codes")


@case("5")
def session_ends_when_disconnect_says_so(broker):
    client_id = unique("ender")
    peer = Peer(broker, client_id=client_id, clean=False, expiry=60)
    properties = Properties(PacketTypes.DISCONNECT)
    properties.SessionExpiryInterval = 0
    peer.client.disconnect(properties=properties)
    peer.await_in(peer.disconnected, "end of the connection")
    peer.client.loop_stop()
    with Peer(broker, client_id=client_id, clean=False, expiry=0) as peer:
        equal(peer.session_present, False, "Session Present")


@case("5")
def will_carries_its_properties_and_delay(broker):
    topic, client_id = unique("will"), unique("doomed")
    properties = Properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = 1
    properties.ContentType = "text/plain"
    properties.UserProperty = ("why", "crash")
    with Peer(broker) as watcher:
        watcher.subscribe(topic, 1)
        doomed = Peer(
            broker,
            client_id=client_id,
            expiry=60,
            will={"topic": topic, "payload": b"gone", "qos": 1, "properties": properties},
        )
        dropped = time.monotonic()
        doomed.drop()
        message = watcher.receive()
        after = time.monotonic() - dropped
        equal(message.payload, b"gone", "will")
        assert after >= properties.WillDelayInterval, f"will after {after} s"
        equal(message.properties.ContentType, "text/plain", "Content Type")
        equal(message.properties.UserProperty, [("why", "crash")], "User Properties")
    with Peer(broker, client_id=client_id, clean=True):
        pass


@case("5")
def will_is_sent_when_disconnect_asks_for_it(broker):
    topic = unique("will")
    with Peer(broker) as watcher:
        watcher.subscribe(topic, 1)
        peer = Peer(broker, will={"topic": topic, "payload": b"bye", "qos": 1})
        peer.client.disconnect(reasoncode=mqtt.ReasonCode(PacketTypes.DISCONNECT, identifier=0x04))
        equal(watcher.receive().payload, b"bye", "will")
        peer.client.loop_stop()


def run(function, broker):
    # A thread's exception would be printed and lost; this one fails the case.
    failures = []
    threading.excepthook = lambda args: failures.append(repr(args.exc_value))
    try:
        function(broker)
    except Exception as error:  # Every failure of a case is its verdict.
        failures.append(f"{type(error).__name__}: {error}")
        traceback.print_exc(file=sys.stderr)
    print(f"case {function.__name__}", flush=True)
    return {"name": function.__name__, "ok": not failures, "detail": "; ".join(failures)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--transport", required=True, choices=["tcp", "websockets"])
    parser.add_argument("--protocol", required=True, choices=["311", "5"])
    args = parser.parse_args()
    broker = Broker(args.host, args.port, args.transport, args.protocol)
    verdicts = [run(function, broker) for function in CASES[args.protocol]]
    print(json.dumps({"cases": verdicts}))


main()
