/**
 * Drives a broker with mqtt.js and prints the name of each case as it ends, and one JSON verdict.
 *
 * Owns the cases; knows nothing of how the broker was started nor which one it is. Each case uses
 * topics and client ids of its own, awaits events with a bound, and throws when something is wrong.
 */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const { values: args } = parseArgs({
  options: {
    url: { type: "string" },
    protocol: { type: "string" },
    // The folder whose node_modules holds mqtt.js.
    modules: { type: "string" },
  },
});
const mqtt = createRequire(`${args.modules}/package.json`)("mqtt");
const isV5 = args.protocol === "5";
const BOUND_MS = 20_000;

const unique = (prefix) => `${prefix}-${randomUUID().slice(0, 12)}`;

/** Rejects when `promise` takes longer than the bound. */
async function bounded(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${BOUND_MS} ms`)), BOUND_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A connected client whose messages are awaited in order of arrival. */
class Peer {
  static opened = new Set();

  static async connect(options = {}) {
    const peer = new Peer();
    const { expiry = 0, ...rest } = options;
    peer.client = mqtt.connect(args.url, {
      protocolVersion: isV5 ? 5 : 4,
      clientId: unique("mqttjs"),
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: BOUND_MS,
      resubscribe: false,
      ...(isV5 ? { properties: { sessionExpiryInterval: expiry } } : {}),
      ...rest,
    });
    Peer.opened.add(peer);
    peer.queue = [];
    peer.waiting = [];
    peer.client.on("message", (topic, payload, packet) => {
      const message = { topic, payload: payload.toString("latin1"), packet };
      const waiter = peer.waiting.shift();
      if (waiter) waiter(message);
      else peer.queue.push(message);
    });
    // Without a listener an error would end the process instead of failing the case.
    peer.client.on("error", (error) => (peer.error = error));
    const refused = once(peer.client, "close").then(() => {
      throw new Error(`the connection was closed: ${peer.error ?? "no reason given"}`);
    });
    refused.catch(() => {});
    [peer.connack] = await bounded(
      Promise.race([once(peer.client, "connect"), refused]),
      "CONNACK",
    );
    return peer;
  }

  receive() {
    const message = this.queue.shift();
    if (message) return message;
    return bounded(new Promise((resolve) => this.waiting.push(resolve)), "message");
  }

  async subscribe(topic, options) {
    const grants = await bounded(this.client.subscribeAsync(topic, options), "SUBACK");
    return grants.map((grant) => grant.qos);
  }

  publish(topic, payload, options = {}) {
    return bounded(this.client.publishAsync(topic, payload, options), "acknowledgement");
  }

  unsubscribe(topic) {
    return bounded(this.client.unsubscribeAsync(topic), "UNSUBACK");
  }

  /** Ends with a DISCONNECT. */
  async end() {
    Peer.opened.delete(this);
    await bounded(this.client.endAsync(), "end of the connection");
  }

  /** Ends as a crash would: no DISCONNECT, the socket is just gone. */
  async drop() {
    Peer.opened.delete(this);
    const closed = once(this.client, "close");
    (this.client.stream.socket?.terminate?.bind(this.client.stream.socket) ??
      this.client.stream.destroy.bind(this.client.stream))();
    await bounded(closed, "end of the connection");
  }
}

const cases = [];
const add = (name, run, { v5only = false } = {}) => {
  if (isV5 || !v5only) cases.push({ name, run });
};

for (const publishQos of [0, 1, 2]) {
  for (const subscribeQos of [0, 1, 2]) {
    add(`qos_${publishQos}_to_${subscribeQos}`, async () => {
      const topic = unique("qos");
      const [receiver, sender] = [await Peer.connect(), await Peer.connect()];
      assert.deepEqual(await receiver.subscribe(topic, { qos: subscribeQos }), [subscribeQos]);
      await sender.publish(topic, "hello", { qos: publishQos });
      const message = await receiver.receive();
      assert.equal(message.topic, topic);
      assert.equal(message.payload, "hello");
      assert.equal(message.packet.qos, Math.min(publishQos, subscribeQos));
      assert.equal(message.packet.retain, false);
    });
  }
}

add("bursts_arrive_complete_and_in_order", async () => {
  const topic = unique("burst");
  const [receiver, sender] = [await Peer.connect(), await Peer.connect()];
  await receiver.subscribe(topic, { qos: 2 });
  for (const qos of [0, 1, 2]) {
    const sent = [];
    for (let n = 0; n < 200; n += 1) {
      // One window of acknowledgements at a time: more than a broker's Receive Maximum in flight
      // would be this client's fault, not the broker's.
      if (qos > 0 && n % 10 === 0) await Promise.all(sent.splice(0));
      sent.push(sender.publish(topic, String(n), { qos }));
    }
    for (let n = 0; n < 200; n += 1) {
      assert.equal((await receiver.receive()).payload, String(n), `order at QoS ${qos}`);
    }
    await Promise.all(sent);
  }
});

add("payloads_are_opaque", async () => {
  const topic = unique("payload");
  const [receiver, sender] = [await Peer.connect(), await Peer.connect()];
  await receiver.subscribe(topic, { qos: 1 });
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  for (const payload of [Buffer.alloc(0), everyByte, Buffer.alloc(200_000, "y")]) {
    await sender.publish(topic, payload, { qos: 1 });
    const { packet } = await receiver.receive();
    assert.ok(packet.payload.equals(payload), `${payload.length} bytes came back changed`);
  }
});

add("topics_are_utf8", async () => {
  const topic = unique("thème/温度/🌡");
  const peer = await Peer.connect();
  await peer.subscribe(topic, { qos: 1 });
  await peer.publish(topic, "warm", { qos: 1 });
  assert.equal((await peer.receive()).topic, topic);
});

add("wildcards_match_by_level", async () => {
  const root = unique("wild");
  const [plus, hash, sender] = [await Peer.connect(), await Peer.connect(), await Peer.connect()];
  await plus.subscribe(`${root}/+/state`, { qos: 1 });
  await hash.subscribe(`${root}/#`, { qos: 1 });
  const topics = [root, `${root}/1/state`, `${root}/1/command`, `${root}/2/state`];
  for (const topic of topics) await sender.publish(topic, "x", { qos: 1 });
  for (const topic of topics) assert.equal((await hash.receive()).topic, topic);
  assert.equal((await plus.receive()).topic, `${root}/1/state`);
  assert.equal((await plus.receive()).topic, `${root}/2/state`);
});

add("retained_message_reaches_a_later_subscriber", async () => {
  const topic = unique("retained");
  const sender = await Peer.connect();
  await sender.publish(topic, "state", { qos: 1, retain: true });
  const receiver = await Peer.connect();
  await receiver.subscribe(topic, { qos: 1 });
  let message = await receiver.receive();
  assert.deepEqual([message.payload, message.packet.retain], ["state", true]);
  await sender.publish(topic, "live", { qos: 1, retain: true });
  message = await receiver.receive();
  assert.deepEqual([message.payload, message.packet.retain], ["live", false]);
  await sender.publish(topic, "", { qos: 1, retain: true });
  const late = await Peer.connect();
  await late.subscribe(topic, { qos: 1 });
  await sender.publish(topic, "only", { qos: 1 });
  assert.equal((await late.receive()).payload, "only");
});

add("unsubscribing_stops_messages", async () => {
  const root = unique("unsubscribe");
  const peer = await Peer.connect();
  await peer.subscribe([`${root}/a`, `${root}/b`], { qos: 1 });
  await peer.unsubscribe(`${root}/a`);
  await peer.publish(`${root}/a`, "x", { qos: 1 });
  await peer.publish(`${root}/b`, "x", { qos: 1 });
  assert.equal((await peer.receive()).topic, `${root}/b`);
});

add("will_is_sent_when_the_connection_breaks", async () => {
  const topic = unique("will");
  const watcher = await Peer.connect();
  await watcher.subscribe(topic, { qos: 1 });
  const doomed = await Peer.connect({ will: { topic, payload: Buffer.from("gone"), qos: 1, retain: true } });
  await doomed.drop();
  assert.equal((await watcher.receive()).payload, "gone");
  const late = await Peer.connect();
  await late.subscribe(topic, { qos: 1 });
  const message = await late.receive();
  assert.deepEqual([message.payload, message.packet.retain], ["gone", true]);
  await watcher.publish(topic, "", { qos: 1, retain: true });
});

add("will_is_not_sent_after_disconnect", async () => {
  const topic = unique("will");
  const watcher = await Peer.connect();
  await watcher.subscribe(topic, { qos: 1 });
  const leaving = await Peer.connect({ will: { topic, payload: Buffer.from("gone"), qos: 1, retain: false } });
  await leaving.end();
  await watcher.publish(topic, "marker", { qos: 1 });
  assert.equal((await watcher.receive()).payload, "marker");
});

add("session_is_resumed_with_what_was_missed", async () => {
  const topic = unique("session");
  const options = { clientId: unique("sleeper"), clean: false, expiry: 60 };
  const sender = await Peer.connect();
  const before = await Peer.connect(options);
  assert.equal(before.connack.sessionPresent, false);
  await before.subscribe(topic, { qos: 1 });
  await before.end();
  for (let n = 0; n < 10; n += 1) await sender.publish(topic, String(n), { qos: 1 });
  const after = await Peer.connect(options);
  assert.equal(after.connack.sessionPresent, true);
  for (let n = 0; n < 10; n += 1) assert.equal((await after.receive()).payload, String(n));
  await after.end();
  const clean = await Peer.connect({ clientId: options.clientId });
  assert.equal(clean.connack.sessionPresent, false);
});

add("second_connection_takes_over", async () => {
  const clientId = unique("twin");
  const topic = unique("twin");
  const first = await Peer.connect({ clientId });
  const closed = once(first.client, "close");
  const second = await Peer.connect({ clientId });
  await bounded(closed, "end of the first connection");
  await second.subscribe(topic, { qos: 1 });
  await second.publish(topic, "alive", { qos: 1 });
  assert.equal((await second.receive()).payload, "alive");
});

add("idle_connection_is_kept_by_pings", async () => {
  const topic = unique("ping");
  // Half of it is what a slow machine has to spare before broker or client take the other one for gone.
  const peer = await Peer.connect({ keepalive: 3 });
  // Two answers take longer than the broker's one and a half Keep Alive intervals.
  for (let pings = 0; pings < 2; ) {
    const [packet] = await bounded(once(peer.client, "packetreceive"), "PINGRESP");
    if (packet.cmd === "pingresp") pings += 1;
  }
  await peer.subscribe(topic, { qos: 1 });
  await peer.publish(topic, "alive", { qos: 1 });
  assert.equal((await peer.receive()).payload, "alive");
});

add(
  "publish_properties_are_passed_on",
  async () => {
    const topic = unique("properties");
    const [receiver, sender] = [await Peer.connect(), await Peer.connect()];
    await receiver.subscribe(topic, { qos: 1, properties: { subscriptionIdentifier: 7 } });
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 100,
      contentType: "application/json",
      responseTopic: `${topic}/reply`,
      correlationData: Buffer.from([0, 1, 255]),
      userProperties: { a: ["1", "3"], b: "2" },
    };
    await sender.publish(topic, "{}", { qos: 1, properties });
    const got = (await receiver.receive()).packet.properties;
    assert.ok(got.messageExpiryInterval > 0 && got.messageExpiryInterval <= 100);
    assert.equal(got.payloadFormatIndicator, true);
    assert.equal(got.contentType, "application/json");
    assert.equal(got.responseTopic, `${topic}/reply`);
    assert.deepEqual([...got.correlationData], [0, 1, 255]);
    assert.deepEqual({ ...got.userProperties }, { a: ["1", "3"], b: "2" });
    assert.equal(got.subscriptionIdentifier, 7);
  },
  { v5only: true },
);

add(
  "reason_code_of_a_take_over_is_told",
  async () => {
    const clientId = unique("twin");
    const first = await Peer.connect({ clientId });
    const told = once(first.client, "disconnect").then(([packet]) => packet.reasonCode);
    const closed = once(first.client, "close").then(() => "none");
    await Peer.connect({ clientId });
    const code = await bounded(Promise.race([told, closed]), "end of the first connection");
    assert.equal(code, 0x8e, `Reason Code of the end: ${code}`);
  },
  { v5only: true },
);

add(
  "empty_client_identifier_gets_one_assigned",
  async () => {
    const peer = await Peer.connect({ clientId: "" });
    assert.ok(peer.connack.properties.assignedClientIdentifier);
  },
  { v5only: true },
);

const verdicts = [];
for (const { name, run } of cases) {
  let detail = "";
  try {
    await run();
  } catch (error) {
    detail = String(error);
    console.error(`${name}: ${error.stack}`);
  }
  console.log(`case ${name}`);
  verdicts.push({ name, ok: detail === "", detail });
  for (const peer of [...Peer.opened]) {
    Peer.opened.delete(peer);
    peer.client.end(true);
  }
}
console.log(JSON.stringify({ cases: verdicts }));
process.exit(0);
