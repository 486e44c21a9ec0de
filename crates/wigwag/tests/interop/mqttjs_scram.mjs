/**
 * Logs in to a broker with mqtt.js and SCRAM-SHA-256, and sends itself a message.
 *
 * mqtt.js carries the exchange and knows nothing of SCRAM; the arithmetic of RFC 5802 is Node's own crypto. Prints
 * `ok`, or what went wrong.
 */

import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const { values: args } = parseArgs({
  options: {
    url: { type: "string" },
    user: { type: "string" },
    password: { type: "string" },
    // The folder whose node_modules holds mqtt.js.
    modules: { type: "string" },
  },
});
const mqtt = createRequire(`${args.modules}/package.json`)("mqtt");
const METHOD = "SCRAM-SHA-256";

const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
const nonce = randomBytes(18).toString("base64");
const bare = `n=${args.user},r=${nonce}`;
let serverSignature;

/** The client-final-message, which answers the challenge. */
function prove(challenge) {
  const [, whole, salt, iterations] = challenge.match(/^r=([^,]+),s=([^,]+),i=(\d+)$/);
  if (!whole.startsWith(nonce)) throw new Error("a foreign nonce");
  const salted = pbkdf2Sync(args.password, Buffer.from(salt, "base64"), Number(iterations), 32, "sha256");
  const clientKey = hmac(salted, "Client Key");
  const storedKey = createHash("sha256").update(clientKey).digest();
  const withoutProof = `c=biws,r=${whole}`;
  const said = `${bare},${challenge},${withoutProof}`;
  const signature = hmac(storedKey, said);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index]));
  serverSignature = hmac(hmac(salted, "Server Key"), said);
  return `${withoutProof},p=${proof.toString("base64")}`;
}

const client = mqtt.connect(args.url, {
  protocolVersion: 5,
  reconnectPeriod: 0,
  properties: {
    authenticationMethod: METHOD,
    authenticationData: Buffer.from(`n,,${bare}`),
  },
});
client.handleAuth = (packet, callback) => {
  const answer = prove(packet.properties.authenticationData.toString());
  callback(undefined, {
    cmd: "auth",
    reasonCode: 0x18,
    properties: { authenticationMethod: METHOD, authenticationData: Buffer.from(answer) },
  });
};

function end(said) {
  console.log(said);
  client.end(true);
}

client.on("error", (error) => end(error.message));
client.on("connect", (connack) => {
  const data = connack.properties.authenticationData.toString();
  const signature = Buffer.from(data.replace(/^v=/, ""), "base64");
  if (!timingSafeEqual(signature, serverSignature)) return end("the server's signature is wrong");
  client.on("message", (topic, payload) => end(`${payload}`));
  client.subscribe("scram", { qos: 1 }, () => client.publish("scram", "ok", { qos: 1 }));
});
