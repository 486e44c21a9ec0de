/**
 * Aedes, a broker that speaks MQTT 3.1 and 3.1.1 and refuses 5.0, on a free port of 127.0.0.1.
 *
 * Owns the listener; prints `ready` and the address, and runs until it is killed.
 */

import { createRequire } from "node:module";
import { createServer } from "node:net";
import { parseArgs } from "node:util";

const { values: args } = parseArgs({
  options: {
    // The folder whose node_modules holds aedes.
    modules: { type: "string" },
  },
});
const { Aedes } = createRequire(`${args.modules}/package.json`)("aedes");

const broker = await Aedes.createBroker();
const server = createServer(broker.handle);
server.listen(0, "127.0.0.1", () => {
  console.log(`ready mqtt://127.0.0.1:${server.address().port}`);
});
