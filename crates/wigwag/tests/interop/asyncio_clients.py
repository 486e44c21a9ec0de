"""Drives a broker with aiomqtt or gmqtt and prints the name of each case as it ends, and one JSON verdict.

Both are asyncio clients: aiomqtt wraps paho-mqtt, gmqtt has an MQTT of its own. Each case uses topics and client ids of
its own, awaits events with a bound, and raises when something is wrong. `Peer` is what the cases know of a client.
"""

import argparse
import asyncio
import json
import socket
import sys
import traceback
import uuid

BOUND_SECS = 20
# gmqtt sends no more at once than the broker's Receive Maximum.
BURST = 15
CASES = []


def case(function):
    CASES.append(function)
    return function


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def equal(actual, expected, what):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"


class AiomqttPeer:
    """A client of aiomqtt; messages are tuples of topic, payload, QoS and RETAIN."""

    def __init__(self, broker, client_id=None, clean=True, will=None):
        import aiomqtt
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        options = {"identifier": client_id or unique("aiomqtt"), "timeout": BOUND_SECS}
        if broker.is_v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 60
            options |= {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": clean, "properties": properties}
        else:
            options |= {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": clean}
        if will:
            topic, payload, qos = will
            options["will"] = aiomqtt.Will(topic, payload, qos)
        self.client = aiomqtt.Client(broker.host, broker.port, **options)

    async def __aenter__(self):
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *_):
        await self.client.__aexit__(None, None, None)

    async def subscribe(self, topic, qos):
        await self.client.subscribe(topic, qos)

    async def publish(self, topic, payload, qos=0, retain=False):
        await self.client.publish(topic, payload, qos, retain)

    async def receive(self):
        message = await asyncio.wait_for(anext(aiter(self.client.messages)), BOUND_SECS)
        return (str(message.topic), message.payload, message.qos, bool(message.retain))

    async def drop(self):
        self.client._client.socket().shutdown(socket.SHUT_RDWR)


class GmqttPeer:
    """The same with gmqtt."""

    def __init__(self, broker, client_id=None, clean=True, will=None):
        import gmqtt

        options = {}
        if will:
            topic, payload, qos = will
            options["will_message"] = gmqtt.Message(topic, payload, qos=qos)
        if broker.is_v5:
            options["session_expiry_interval"] = 0 if clean else 60
        client = gmqtt.Client(client_id or unique("gmqtt"), clean_session=clean, **options)
        client.set_config({"reconnect_retries": 0})
        self.broker, self.client = broker, client
        self.messages, self.granted = asyncio.Queue(), asyncio.Queue()
        client.on_message = self.on_message
        client.on_subscribe = lambda client, mid, codes, properties: self.granted.put_nowait(codes)

    def on_message(self, client, topic, payload, qos, properties):
        self.messages.put_nowait((topic, payload, qos, bool(properties["retain"])))
        return 0

    async def __aenter__(self):
        version = 5 if self.broker.is_v5 else 4
        connecting = self.client.connect(self.broker.host, self.broker.port, version=version)
        await asyncio.wait_for(connecting, BOUND_SECS)
        return self

    async def __aexit__(self, *_):
        await asyncio.wait_for(self.client.disconnect(), BOUND_SECS)

    async def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        codes = await asyncio.wait_for(self.granted.get(), BOUND_SECS)
        equal(list(codes), [qos], "granted QoS")

    async def publish(self, topic, payload, qos=0, retain=False):
        self.client.publish(topic, payload, qos, retain)

    async def receive(self):
        return await asyncio.wait_for(self.messages.get(), BOUND_SECS)

    async def drop(self):
        self.client._connection._transport.abort()


class Broker:
    """Where the broker is, how to speak to it, and with which client."""

    def __init__(self, host, port, protocol, peer):
        self.host, self.port, self.is_v5, self.kind = host, port, protocol == "5", peer

    def peer(self, **options):
        return self.kind(self, **options)


@case
async def every_qos_arrives_at_the_lower_of_both(broker):
    async with broker.peer() as receiver, broker.peer() as sender:
        for subscribed in range(3):
            topic = unique("qos")
            await receiver.subscribe(topic, subscribed)
            for published in range(3):
                await sender.publish(topic, b"hello", published)
                expected = (topic, b"hello", min(subscribed, published), False)
                equal(await receiver.receive(), expected, "message")


@case
async def messages_to_oneself_arrive(broker):
    async with broker.peer() as peer:
        for qos in range(3):
            topic = unique("self")
            await peer.subscribe(topic, qos)
            await peer.publish(topic, b"echo", qos)
            equal(await peer.receive(), (topic, b"echo", qos, False), "message")


@case
async def bursts_arrive_complete_and_in_order(broker):
    topic = unique("burst")
    async with broker.peer() as receiver, broker.peer() as sender:
        await receiver.subscribe(topic, 1)
        for n in range(BURST):
            await sender.publish(topic, str(n).encode(), 1)
        got = [int((await receiver.receive())[1]) for _ in range(BURST)]
        equal(got, list(range(BURST)), "order")


@case
async def retained_message_reaches_a_later_subscriber(broker):
    topic = unique("retained")
    async with broker.peer() as early, broker.peer() as sender:
        await early.subscribe(topic, 1)
        await sender.publish(topic, b"kept", 1, True)
        equal(await early.receive(), (topic, b"kept", 1, False), "live message")
        async with broker.peer() as late:
            await late.subscribe(topic, 1)
            equal(await late.receive(), (topic, b"kept", 1, True), "retained message")
        await sender.publish(topic, b"", 1, True)
        equal(await early.receive(), (topic, b"", 1, False), "its end")


@case
async def will_is_sent_when_the_connection_breaks(broker):
    topic = unique("will")
    async with broker.peer() as watcher:
        await watcher.subscribe(topic, 1)
        doomed = broker.peer(will=(topic, b"gone", 1))
        await doomed.__aenter__()
        await doomed.drop()
        equal(await watcher.receive(), (topic, b"gone", 1, False), "Will")


@case
async def shared_subscription_takes_turns(broker):
    topic = unique("shared")
    async with broker.peer() as one, broker.peer() as other, broker.peer() as sender:
        for member in (one, other):
            await member.subscribe(f"$share/group/{topic}", 1)
        for n in range(4):
            await sender.publish(topic, str(n).encode(), 1)
        for member, expected in ((one, [0, 2]), (other, [1, 3])):
            equal([int((await member.receive())[1]) for _ in expected], expected, "turns")


@case
async def session_is_resumed_with_what_was_missed(broker):
    topic, client_id = unique("session"), unique("sleeper")
    async with broker.peer(client_id=client_id, clean=False) as peer:
        await peer.subscribe(topic, 1)
    async with broker.peer() as sender, broker.peer() as witness:
        await witness.subscribe(topic, 1)
        await sender.publish(topic, b"missed", 1)
        await witness.receive()
    async with broker.peer(client_id=client_id, clean=False) as peer:
        equal(await peer.receive(), (topic, b"missed", 1, False), "what was missed")
    async with broker.peer(client_id=client_id, clean=True):
        pass


async def run(function, broker):
    detail = ""
    try:
        await function(broker)
    except Exception as error:  # Every failure of a case is its verdict.
        traceback.print_exc(file=sys.stderr)
        detail = f"{type(error).__name__}: {error}"
    print(f"case {function.__name__}", flush=True)
    return {"name": function.__name__, "detail": detail}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--protocol", required=True, choices=["311", "5"])
    parser.add_argument("--client", required=True, choices=["aiomqtt", "gmqtt"])
    args = parser.parse_args()
    peer = AiomqttPeer if args.client == "aiomqtt" else GmqttPeer
    broker = Broker(args.host, args.port, args.protocol, peer)
    verdicts = [await run(function, broker) for function in CASES]
    print(json.dumps({"cases": verdicts}))


asyncio.run(main())
