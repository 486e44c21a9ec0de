"""paho-mqtt as a subject of the conformance scripts.

Reads commands as JSON lines from stdin, each for one of many clients, and writes events to stdout.
Knows nothing of the scripts; what the library cannot do is reported as an event.
"""

import json
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

LOCK = threading.Lock()


def tell(client, event, **fields):
    with LOCK:
        print(json.dumps({"client": client, "is": event, **fields}), flush=True)


class Subject:
    def __init__(self, number):
        self.number = number
        self.client = None
        self.level = 5
        self.tags = {}
        self.lock = threading.Lock()

    def start(self, o):
        if o["authentication_method"] is not None:
            raise NotImplementedError("paho-mqtt has no answer to AUTH")
        self.level = o["level"]
        v5 = self.level == 5
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=o["client_id"],
            clean_session=None if v5 else o["clean_start"],
            protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
            transport="websockets" if o["websocket"] else "tcp",
            reconnect_on_failure=True,
        )
        client = self.client
        client.reconnect_delay_set(min_delay=0.05, max_delay=0.1)
        if o["websocket"]:
            client.ws_set_options(path="/mqtt")
        if o["user_name"] is not None:
            client.username_pw_set(o["user_name"], o["password"])
        if o["will"] is not None:
            will = o["will"]
            client.will_set(will["topic"], will["payload"], will["qos"], will["retain"])
        client.on_connect = self.on_connect
        client.on_message = self.on_message
        client.on_publish = lambda c, u, mid, code, props: self.finish(mid, not code.is_failure)
        client.on_subscribe = lambda c, u, mid, codes, props: self.finish(mid, True)
        client.on_unsubscribe = lambda c, u, mid, codes, props: self.finish(mid, True)
        extra = {}
        if v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = o["session_expiry_secs"]
            if o["topic_alias_maximum"]:
                properties.TopicAliasMaximum = o["topic_alias_maximum"]
            extra = {"properties": properties}
            extra["clean_start"] = mqtt.MQTT_CLEAN_START_FIRST_ONLY if o["clean_start"] else False
        client.connect_async("127.0.0.1", o["port"], o["keep_alive_secs"], **extra)
        client.loop_start()

    def on_connect(self, client, userdata, flags, code, properties):
        if not code.is_failure:
            tell(self.number, "online")

    def on_message(self, client, userdata, message):
        payload = message.payload.decode("utf-8", "replace")
        tell(
            self.number,
            "message",
            topic=message.topic,
            payload=payload,
            qos=message.qos,
            dup=bool(message.dup),
        )

    def finish(self, mid, ok):
        with self.lock:
            tag = self.tags.pop(mid, None)
        if tag is not None:
            tell(self.number, "done", tag=tag, ok=ok)

    def publish(self, o):
        properties = None
        if self.level == 5:
            properties = Properties(PacketTypes.PUBLISH)
            if o["expiry_secs"] is not None:
                properties.MessageExpiryInterval = o["expiry_secs"]
            if o["response_topic"] is not None:
                properties.ResponseTopic = o["response_topic"]
            if o["content_type"] is not None:
                properties.ContentType = o["content_type"]
            if o["user_properties"]:
                properties.UserProperty = [tuple(pair) for pair in o["user_properties"]]
        with self.lock:
            info = self.client.publish(o["topic"], o["payload"], o["qos"], o["retain"], properties)
            if o["qos"] > 0:
                self.tags[info.mid] = o["tag"]

    def subscribe(self, o):
        if o["refuse"]:
            tell(self.number, "unsupported", detail="paho-mqtt refuses no message")
            return
        with self.lock:
            result, mid = self.client.subscribe(o["filter"], o["qos"])
            self.tags[mid] = o["tag"]

    def unsubscribe(self, o):
        with self.lock:
            result, mid = self.client.unsubscribe(o["filter"])
            self.tags[mid] = o["tag"]

    def disconnect(self, o):
        self.client.disconnect()

    def drop(self):
        if self.client is None:
            return
        client = self.client
        client.on_message = None
        # The end of the loop closes the socket; nothing is said to the peer.
        client._thread_terminate = True
        socket = client.socket()
        if socket is not None:
            try:
                socket.close()
            except OSError:
                pass


def main():
    # A packet that the library cannot digest ends its thread; the scripts see that on the wire.
    threading.excepthook = lambda args: None
    subjects = {}
    for line in sys.stdin:
        command = json.loads(line)
        number, what = command["client"], command["do"]
        if what == "drop":
            subject = subjects.pop(number, None)
            if subject is not None:
                subject.drop()
            continue
        subject = subjects.setdefault(number, Subject(number))
        try:
            getattr(subject, what)(command)
        except Exception as error:  # A refused command is its outcome.
            if "tag" in command:
                tell(number, "done", tag=command["tag"], ok=False, detail=repr(error))
            else:
                tell(number, "unsupported", detail=repr(error))


main()
