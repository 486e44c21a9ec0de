/**
 * mqtt.js as a subject of the conformance scripts.
 *
 * Reads commands as JSON lines from stdin, each for one of many clients, and writes events to stdout.
 * Knows nothing of the scripts; what the library cannot do is reported as an event.
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// The folder whose node_modules holds mqtt.js.
const mqtt = createRequire(`${process.argv[2]}/package.json`)("mqtt");

const tell = (client, is, fields = {}) =>
  process.stdout.write(`${JSON.stringify({ client, is, ...fields })}\n`);

class Subject {
  constructor(number) {
    this.number = number;
  }

  start(o) {
    this.v5 = o.level === 5;
    const scheme = o.websocket ? "ws" : "mqtt";
    const path = o.websocket ? "/mqtt" : "";
    this.client = mqtt.connect(`${scheme}://127.0.0.1:${o.port}${path}`, {
      protocolVersion: o.level,
      clientId: o.client_id,
      clean: o.clean_start,
      keepalive: o.keep_alive_secs,
      reconnectPeriod: 50,
      resubscribe: false,
      ...(o.user_name === null ? {} : { username: o.user_name, password: o.password }),
      ...(o.will === null ? {} : { will: o.will }),
      ...(this.v5 ? { properties: this.properties(o) } : {}),
    });
    this.method = o.authentication_method;
    this.client.handleAuth = (packet, callback) => callback(null, this.auth(0x18));
    // Clean Start is for the first connection: the session outlives the others.
    if (this.v5 && o.session_expiry_secs > 0) {
      this.client.once("connect", () => (this.client.options.clean = false));
    }
    this.client.on("connect", () => tell(this.number, "online"));
    this.client.on("message", (topic, payload, packet) =>
      tell(this.number, "message", {
        topic,
        payload: payload.toString(),
        qos: packet.qos,
        dup: packet.dup,
      }),
    );
    // Without a listener an error would end the process; the scripts look at the wire.
    this.client.on("error", () => {});
  }

  auth(reasonCode) {
    const authenticationData = Buffer.from("answer");
    return {
      cmd: "auth",
      reasonCode,
      properties: { authenticationMethod: this.method, authenticationData },
    };
  }

  reauthenticate() {
    throw new Error("mqtt.js has no call for it");
  }

  properties(o) {
    return {
      ...(o.authentication_method === null
        ? {}
        : { authenticationMethod: o.authentication_method }),
      sessionExpiryInterval: o.session_expiry_secs,
      ...(o.topic_alias_maximum ? { topicAliasMaximum: o.topic_alias_maximum } : {}),
    };
  }

  done(tag) {
    return (error) =>
      tell(this.number, "done", { tag, ok: !error, detail: error ? String(error) : "" });
  }

  publish(o) {
    const properties = {
      ...(o.expiry_secs === null ? {} : { messageExpiryInterval: o.expiry_secs }),
      ...(o.response_topic === null ? {} : { responseTopic: o.response_topic }),
      ...(o.content_type === null ? {} : { contentType: o.content_type }),
      ...(o.user_properties.length ? { userProperties: Object.fromEntries(o.user_properties) } : {}),
    };
    const options = { qos: o.qos, retain: o.retain, ...(this.v5 ? { properties } : {}) };
    this.client.publish(o.topic, o.payload, options, this.done(o.tag));
  }

  subscribe(o) {
    if (o.refuse) {
      // A refused message is not emitted: this is the only place that sees it.
      this.client.options.customHandleAcks = (topic, message, packet, done) => {
        const { qos, dup } = packet;
        tell(this.number, "message", { topic, payload: message.toString(), qos, dup });
        done(0x87);
      };
    }
    this.client.subscribe(o.filter, { qos: o.qos }, this.done(o.tag));
  }

  unsubscribe(o) {
    this.client.unsubscribe(o.filter, this.done(o.tag));
  }

  disconnect() {
    this.client.end();
  }

  drop() {
    this.client.options.reconnectPeriod = 0;
    this.client.stream?.destroy();
    this.client.end(true);
  }
}

const subjects = new Map();
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const { client: number, do: what } = command;
  if (what === "drop") {
    if (subjects.has(number)) subjects.get(number).drop();
    subjects.delete(number);
    continue;
  }
  if (!subjects.has(number)) subjects.set(number, new Subject(number));
  try {
    subjects.get(number)[what](command);
  } catch (error) {
    if (command.tag) tell(number, "done", { tag: command.tag, ok: false, detail: String(error) });
    else tell(number, "unsupported", { detail: String(error) });
  }
}
process.exit(0);
