/**
 * Everything the page keeps outside React: one connection and the stores it feeds. Routes each message by its topic;
 * the only place that knows all the parts.
 */
import { createContext, use } from 'react';

import type { Config } from './config.ts';
import type { Outcome } from './devices/command-store.ts';
import { CommandStore } from './devices/command-store.ts';
import {
  parsePresence,
  parseReply,
  parseState,
  parseTopic,
  PRESENCE_FILTER,
  STATE_FILTER,
} from './devices/contract.ts';
import { DeviceStore } from './devices/device-store.ts';
import { MessageLog } from './log/message-log.ts';
import type { Port } from './mqtt/connection.ts';
import { Connection, randomClientId } from './mqtt/connection.ts';
import { matches } from './mqtt/filter.ts';
import type { Incoming, Outgoing, PublishOutcome } from './mqtt/protocol.ts';
import { TEXT_BYTES_MAX } from './mqtt/protocol.ts';
import { Announcer } from './shell/announcer.ts';

export class Station {
  readonly connection: Connection;
  readonly devices = new DeviceStore();
  readonly commands: CommandStore;
  readonly log = new MessageLog();
  readonly announcer = new Announcer();
  readonly version: string | undefined;
  /** The broker is the one in the page's address. */
  readonly isChosenBroker: boolean;
  readonly #replyTopic: string;
  readonly #watchers = new Set<Watcher>();

  constructor(port: Port, config: Config, clientId: string = randomClientId()) {
    this.version = config.version;
    this.isChosenBroker = config.isChosen;
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
      publish: (message) => this.#publish(message),
      handleOutcome: (id, outcome) => {
        this.announcer.say(spoken(id, outcome));
      },
    });
    if ('problem' in config.broker) {
      this.connection.refuse(config.broker.problem);
    } else {
      this.connection.open(config.broker.url, clientId, [this.#replyTopic, STATE_FILTER, PRESENCE_FILTER]);
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

  #publish(message: Outgoing): Promise<PublishOutcome> {
    this.log.add({
      at: Date.now(),
      direction: 'out',
      topic: message.topic,
      ...textOf(message.payload),
      retain: message.retain ?? false,
      qos: message.qos,
      problem: undefined,
    });
    return this.connection.publish(message);
  }

  #handleMessage(message: Incoming): void {
    for (const watcher of this.#watchers) {
      if (matches(watcher.filter, message.topic)) watcher.handle(message);
    }
    if (!this.#isOurs(message.topic)) return;
    const problem = this.#route(message);
    const { at, topic, text, bytes, retain, qos } = message;
    this.log.add({ at, direction: 'in', topic, text, bytes, retain, qos, problem });
  }

  #isOurs(topic: string): boolean {
    return [this.#replyTopic, STATE_FILTER, PRESENCE_FILTER].some((filter) => matches(filter, topic));
  }

  /** Returns what is wrong with the message, if anything. */
  #route(message: Incoming): string | undefined {
    if (message.topic === this.#replyTopic) return this.#handleReply(message);
    const topic = parseTopic(message.topic);
    if (topic === undefined) return undefined;
    const problem =
      topic.kind === 'state' ? this.#handleState(topic.id, message) : this.#handlePresence(topic.id, message);
    if (problem !== undefined) this.devices.handleInvalid(topic.id);
    return problem;
  }

  #handleReply(message: Incoming): string | undefined {
    const reply = parseReply(message.text);
    if ('problem' in reply) return reply.problem;
    this.commands.handleReply(reply.value, message.correlation, message.at);
    return undefined;
  }

  #handleState(id: string, message: Incoming): string | undefined {
    if (message.bytes === 0) {
      this.devices.handleStateCleared(id);
      return undefined;
    }
    const state = parseState(id, message.text, message.bytes);
    if ('problem' in state) return state.problem;
    this.devices.handleState(id, state.value, message.at, message.retain);
    if (!message.retain) this.commands.handleState(id, state.value.status, message.at);
    return undefined;
  }

  #handlePresence(id: string, message: Incoming): string | undefined {
    if (message.bytes === 0) {
      this.devices.handlePresenceCleared(id);
      return undefined;
    }
    const presence = parsePresence(message.text);
    if ('problem' in presence) return presence.problem;
    this.devices.handlePresence(id, presence.value, message.at);
    return undefined;
  }
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
  const what = `Device ${id}: ${outcome.action}`;
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
