/**
 * Everything the page keeps outside React: one connection and the stores it feeds. Routes each message by its topic;
 * the only place that knows all the parts.
 */
import { createContext, use } from 'react';

import type { Broker } from './config.ts';
import type { CommandMessage, Outcome } from './devices/command-store.ts';
import { CommandStore } from './devices/command-store.ts';
import {
  commandTopic,
  parsePresence,
  parseReply,
  parseState,
  parseTopic,
  PRESENCE_FILTER,
  STATE_FILTER,
} from './devices/contract.ts';
import { RecordShelf } from './devices/detail/device-record.ts';
import { DeviceStore } from './devices/device-store.ts';
import type { LogEntry } from './log/message-log.ts';
import { MessageLog } from './log/message-log.ts';
import type { Port } from './mqtt/connection.ts';
import { Connection, randomClientId } from './mqtt/connection.ts';
import { matches } from './mqtt/filter.ts';
import type { Incoming, PublishOutcome } from './mqtt/protocol.ts';
import { TEXT_BYTES_MAX } from './mqtt/protocol.ts';
import { Announcer } from './shell/announcer.ts';

export class Station {
  readonly connection: Connection;
  readonly devices = new DeviceStore();
  readonly commands: CommandStore;
  readonly log = new MessageLog();
  /** Of the devices whose pages were opened. */
  readonly records = new RecordShelf((id, record) =>
    this.watch(commandTopic(id), (message) => {
      record.handleCommand(entryOf(message), message.correlation);
    }),
  );
  readonly announcer = new Announcer();
  readonly broker: Broker;
  readonly #replyTopic: string;
  readonly #watchers = new Set<Watcher>();

  constructor(port: Port, broker: Broker, clientId: string = randomClientId()) {
    this.broker = broker;
    this.#replyTopic = `dashboard/${clientId}/reply`;
    this.connection = new Connection(port, {
      handleMessages: (messages, skipped) => {
        for (const message of messages) this.#handleMessage(message);
        this.log.addSkipped(skipped);
      },
      handleStatus: ({ status }) => {
        if (status.phase !== 'connected') this.commands.handleDisconnected();
        this.announcer.handleLink(status);
      },
    });
    this.commands = new CommandStore({
      replyTopic: this.#replyTopic,
      publish: (message, id) => this.#publish(message, id),
      handleOutcome: (id, outcome) => {
        this.announcer.say(spoken(id, outcome));
      },
    });
    if ('problem' in broker.address) {
      this.connection.refuse(broker.address.problem);
    } else {
      this.connection.open(broker.address.url, clientId, [this.#replyTopic, STATE_FILTER, PRESENCE_FILTER]);
    }
  }

  /**
   * Subscribes to a filter beyond those of the devices, and hands over what comes until the returned function is called.
   * What nobody else is interested in is not in the message log.
   */
  watch(filter: string, handle: (message: Incoming) => void): () => void {
    const watcher = { filter, handle };
    this.#watchers.add(watcher);
    const unsubscribe = this.connection.subscribeTo(filter);
    return () => {
      this.#watchers.delete(watcher);
      unsubscribe();
    };
  }

  #publish(message: CommandMessage, deviceId: string): Promise<PublishOutcome> {
    const entry: Omit<LogEntry, 'seq'> = {
      at: Date.now(),
      direction: 'out',
      topic: message.topic,
      ...textOf(message.payload),
      retain: message.retain ?? false,
      qos: message.qos,
      problem: undefined,
    };
    this.log.add(entry);
    this.records.find(deviceId)?.handleSent(entry, message.correlation);
    return this.connection.publish(message);
  }

  #handleMessage(message: Incoming): void {
    for (const watcher of this.#watchers) {
      if (matches(watcher.filter, message.topic)) watcher.handle(message);
    }
    if (!this.#isOurs(message.topic)) return;
    const { id, problem, latencyMs } = this.#route(message);
    const entry = { ...entryOf(message), problem, latencyMs };
    this.log.add(entry);
    if (id !== undefined) this.records.find(id)?.log.add(entry);
  }

  #isOurs(topic: string): boolean {
    return [this.#replyTopic, STATE_FILTER, PRESENCE_FILTER].some((filter) => matches(filter, topic));
  }

  #route(message: Incoming): Understood {
    if (message.topic === this.#replyTopic) return this.#handleReply(message);
    const topic = parseTopic(message.topic);
    if (topic === undefined) return {};
    const understood =
      topic.kind === 'state' ? this.#handleState(topic.id, message) : this.#handlePresence(topic.id, message);
    if (understood.problem !== undefined) this.devices.handleInvalid(topic.id);
    return { id: topic.id, ...understood };
  }

  #handleReply(message: Incoming): Understood {
    const reply = parseReply(message.text);
    if ('problem' in reply) return reply;
    const id = reply.value.deviceId;
    const latencyMs = this.commands.latencyOf(id, message.correlation, message.at);
    this.commands.handleReply(reply.value, message.correlation, message.at);
    return { id, latencyMs };
  }

  #handleState(id: string, message: Incoming): Understood {
    if (message.bytes === 0) {
      this.devices.handleStateCleared(id);
      return {};
    }
    const state = parseState(id, message.text, message.bytes);
    if ('problem' in state) return state;
    this.devices.handleState(id, state.value, message.text, message.at, message.retain);
    const stateAt = this.devices.device(id)?.stateAt ?? message.at;
    this.records.find(id)?.handleState(message.text, stateAt);
    if (message.retain) return {};
    const latencyMs = this.commands.handleState(id, state.value.status, message.at);
    return { latencyMs };
  }

  #handlePresence(id: string, message: Incoming): Understood {
    if (message.bytes === 0) {
      this.devices.handlePresenceCleared(id);
      return {};
    }
    const presence = parsePresence(message.text);
    if ('problem' in presence) return presence;
    this.devices.handlePresence(id, presence.value, message.at);
    return {};
  }
}

/** What a message turned out to be. */
interface Understood {
  /** The device it is about. */
  id?: string;
  /** What is wrong with it. */
  problem?: string;
  latencyMs?: number | undefined;
}

function entryOf({ at, topic, text, bytes, retain, qos }: Incoming): Omit<LogEntry, 'seq'> {
  return { at, direction: 'in', topic, text, bytes, retain, qos, problem: undefined };
}

interface Watcher {
  filter: string;
  handle: (message: Incoming) => void;
}

function textOf(payload: string | Uint8Array): { text: string; bytes: number } {
  return typeof payload === 'string'
    ? { text: payload, bytes: new TextEncoder().encode(payload).length }
    : { text: new TextDecoder().decode(payload.subarray(0, TEXT_BYTES_MAX)), bytes: payload.length };
}

function spoken(id: string, outcome: Outcome): string {
  const what = `Device ${id}: ${outcome.action === 'custom' ? 'command' : outcome.action}`;
  switch (outcome.phase) {
    case 'confirmed':
      return `${what} confirmed`;
    case 'rejected':
      return `${what} rejected, ${outcome.error}`;
    case 'timed-out':
      return `${what} timed out`;
    case 'interrupted':
      return `${what} unconfirmed, the connection was lost`;
  }
}

const StationContext = createContext<Station | undefined>(undefined);

export const StationProvider = StationContext.Provider;

export function useStation(): Station {
  const station = use(StationContext);
  if (station === undefined) throw new Error('a component that needs the station is outside its provider');
  return station;
}
