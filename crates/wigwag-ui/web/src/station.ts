/**
 * Everything the page keeps outside React: one connection and the stores it feeds. Routes each message by its topic;
 * the only place that knows all the parts.
 */
import { createContext, use } from 'react';

import type { Broker } from './config.ts';
import type { Send } from './devices/bulk/bulk-store.ts';
import { BulkStore } from './devices/bulk/bulk-store.ts';
import type { CommandMessage, Ending, Outcome } from './devices/command-store.ts';
import { CommandStore } from './devices/command-store.ts';
import { parseReply } from './devices/contract.ts';
import { RecordShelf } from './devices/detail/device-record.ts';
import { DeviceStore } from './devices/device-store.ts';
import { filtersOf, titleOf } from './devices/model.ts';
import { ContractSource } from './devices/sources/contract-source.ts';
import type { Way } from './devices/sources/further.ts';
import { LateSource } from './devices/sources/late.ts';
import type { Heard, Source, SourceTools } from './devices/sources/source.ts';
import type { LogEntry } from './log/message-log.ts';
import { MessageLog } from './log/message-log.ts';
import type { Port } from './mqtt/connection.ts';
import { Connection, randomClientId } from './mqtt/connection.ts';
import { matches } from './mqtt/filter.ts';
import type { Credentials, Incoming, PublishOutcome } from './mqtt/protocol.ts';
import { Announcer } from './shell/announcer.ts';

export class Station {
  readonly connection: Connection;
  readonly devices = new DeviceStore();
  readonly commands: CommandStore;
  /** Commands to many devices, by way of `commands`. */
  readonly bulk: BulkStore;
  readonly log = new MessageLog();
  /** Of the devices whose pages were opened. */
  readonly records = new RecordShelf((device, record) => {
    const stops = filtersOf(device, 'command').map((filter) =>
      this.watch(filter, (message) => {
        record.handleCommand(entryOf(message), message.correlation);
      }),
    );
    return () => {
      for (const stop of stops) stop();
    };
  });
  /** The ways in which devices speak, as far as this page has learnt them. */
  readonly sources: Source[];
  readonly #late = new Set<LateSource>();
  readonly announcer = new Announcer();
  readonly broker: Broker;
  /** Unlike that of any other station. */
  readonly clientId: string;
  readonly #replyTopic: string;
  readonly #succeed: (credentials: Credentials | undefined) => void;
  readonly #watchers = new Set<Watcher>();
  readonly #ends: (() => void)[] = [];
  #isEnded = false;

  constructor(
    port: Port,
    broker: Broker,
    { clientId = randomClientId(), credentials, succeed = () => undefined }: Beginning = {},
  ) {
    this.broker = broker;
    this.clientId = clientId;
    this.#succeed = succeed;
    this.#replyTopic = `dashboard/${clientId}/reply`;
    this.connection = new Connection(port, {
      handleMessages: (messages, skipped) => {
        for (const message of messages) this.#handleMessage(message);
        this.log.addSkipped(skipped);
      },
      handleStatus: ({ status }) => {
        if (status.phase !== 'connected') {
          this.bulk.handleDisconnected();
          this.commands.handleDisconnected();
        }
        this.announcer.handleLink(status);
      },
    });
    this.commands = new CommandStore({
      replyTopic: this.#replyTopic,
      publish: (message, id, shown) => this.#publish(message, id, shown),
      handleOutcome: (id, outcome) => {
        this.announcer.say(spoken(this.#titleOf(id), outcome));
      },
    });
    this.bulk = new BulkStore(this.#sendStep, (text) => {
      this.announcer.say(text);
    });
    this.sources = [new ContractSource(this.#tools())];
    if ('problem' in broker.address) {
      this.connection.refuse(broker.address.problem);
    } else {
      const filters = [this.#replyTopic, ...this.sources.flatMap((source) => source.filters)];
      this.connection.open(broker.address.url, clientId, filters, credentials);
    }
  }

  /**
   * Connects anew as this user, or as nobody. Who is not the user before has a station of his own: what was seen here is
   * none of his business.
   */
  login(credentials: Credentials | undefined): void {
    if (this.connection.isOfAnother(credentials?.userName)) this.#succeed(credentials);
    else this.connection.login(credentials);
  }

  /** Ends all that goes on here, for good. */
  end(): void {
    this.#isEnded = true;
    this.bulk.cancel();
    this.commands.handleDisconnected();
    this.connection.end();
    for (const end of this.#ends.splice(0)) end();
  }

  /** Has this done when the station ends, for what goes on beside it. */
  whenEnded(act: () => void): void {
    if (this.#isEnded) act();
    else this.#ends.push(act);
  }

  /** From now on, also to devices that speak in this way, until the returned function is called. */
  listenTo(way: Way): () => void {
    let isOver = false;
    let read: Source | undefined;
    const late = new LateSource(way, this.#tools(), {
      handleLoaded: (source, missed, lost) => {
        if (isOver) return;
        this.#late.delete(late);
        read = source;
        this.sources.push(source);
        for (const message of missed) this.#note(message, this.#hear(message, [source]));
        this.log.addSkipped(lost);
      },
      handleFailed: (missed, lost, reason) => {
        if (isOver) return;
        const problem = `the part of the page that reads it cannot be loaded, reload the page: ${reason}`;
        for (const message of missed) this.#note(message, { ids: [], problem });
        this.log.addSkipped(lost);
      },
    });
    this.#late.add(late);
    const stops = way.filters.map((filter) => this.connection.subscribeTo(filter));
    return () => {
      isOver = true;
      this.#late.delete(late);
      for (const stop of stops) stop();
      if (read === undefined) return;
      this.sources.splice(this.sources.indexOf(read), 1);
      read.end?.();
    };
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

  readonly #sendStep: Send = ({ device, topic, payload, act }, told) => {
    if (this.devices.device(device.id) === undefined) return 'gone';
    if (act.kind === 'retain') {
      void this.connection.publish({ topic, payload, qos: 1, retain: true }).then((outcome) => {
        told(endOf(outcome));
      });
      return 'sent';
    }
    const isSent =
      act.kind === 'control'
        ? this.commands.send(device, act.control, act.value, told)
        : this.commands.sendCustom(device, payload, told);
    return isSent ? 'sent' : 'busy';
  };

  #publish(message: CommandMessage, deviceId: string, text: string): Promise<PublishOutcome> {
    const entry: Omit<LogEntry, 'seq'> = {
      at: Date.now(),
      direction: 'out',
      topic: message.topic,
      text,
      bytes: sizeOf(message.payload),
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
    for (const late of this.#late) late.handle(message);
    this.#note(
      message,
      message.topic === this.#replyTopic ? this.#handleReply(message) : this.#hear(message, this.sources),
    );
  }

  /** In the logs, unless it was none of our business. */
  #note(message: Incoming, heard: Understood | undefined): void {
    if (heard === undefined) return;
    const { problem, latencyMs, text = message.text } = heard;
    const entry = { ...entryOf(message), text, problem, latencyMs };
    this.log.add(entry);
    for (const id of heard.ids) this.records.find(id)?.log.add(entry);
  }

  #handleReply(message: Incoming): Understood {
    const reply = parseReply(message.text);
    if ('problem' in reply) return { ids: [], ...reply };
    const id = reply.value.deviceId;
    const latencyMs = this.commands.latencyOf(id, message.correlation, message.at);
    this.commands.handleReply(reply.value, message.correlation, message.at);
    return { ids: [id], latencyMs };
  }

  /** More than one source may know the topic. */
  #hear(message: Incoming, sources: readonly Source[]): Understood | undefined {
    let all: Understood | undefined;
    for (const source of sources) {
      const heard = source.handle(message);
      if (heard !== undefined)
        all = all === undefined ? heard : { ...heard, ids: [...all.ids, ...heard.ids] };
    }
    if (all === undefined || all.problem !== undefined) return all;
    let latencyMs: number | undefined;
    for (const id of all.ids) latencyMs = this.#handleUpdate(id, message) ?? latencyMs;
    return { ...all, latencyMs };
  }

  /** Returns how long after a command the message came that confirms it. */
  #handleUpdate(id: string, { at, retain }: Incoming): number | undefined {
    const device = this.devices.device(id);
    if (device === undefined) return undefined;
    this.records.handleUpdate(device);
    return retain ? undefined : this.commands.handleUpdate(device, at);
  }

  #tools(): SourceTools {
    return { store: this.devices, subscribe: (topic) => this.connection.subscribeTo(topic) };
  }

  #titleOf(id: string): string {
    const device = this.devices.device(id);
    return device === undefined ? id : titleOf(device);
  }
}

/** How a station begins. */
export interface Beginning {
  clientId?: string;
  /** As whom; as nobody without. */
  credentials?: Credentials | undefined;
  /** Has another station in the place of this one, for somebody else. */
  succeed?: (credentials: Credentials | undefined) => void;
}

/** What a message turned out to be. */
interface Understood extends Heard {
  latencyMs?: number | undefined;
}

function entryOf({ at, topic, text, bytes, retain, qos }: Incoming): Omit<LogEntry, 'seq'> {
  return { at, direction: 'in', topic, text, bytes, retain, qos, problem: undefined };
}

interface Watcher {
  filter: string;
  handle: (message: Incoming) => void;
}

function sizeOf(payload: string | Uint8Array): number {
  return typeof payload === 'string' ? new TextEncoder().encode(payload).length : payload.length;
}

/** Of a message for the broker itself: nobody has to be subscribed. */
function endOf(outcome: PublishOutcome): Ending {
  switch (outcome.kind) {
    case 'accepted':
    case 'unheard':
      return { phase: 'delivered' };
    case 'refused':
      return { phase: 'rejected', error: `the broker refused it: ${outcome.reason}` };
    case 'interrupted':
      return { phase: 'interrupted' };
  }
}

function spoken(title: string, outcome: Outcome): string {
  const what = `${title}: ${outcome.ask.name.toLowerCase()}`;
  switch (outcome.phase) {
    case 'delivered':
      return `${what} taken by the broker`;
    case 'confirmed':
      return `${what} confirmed`;
    case 'rejected':
      return `${what} rejected, ${outcome.error}`;
    case 'unheard':
      return `${what} unheard, no device is listening`;
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

/** One for each station, made when it is first asked for and ended with it. */
export function perStation<Part>(
  make: (station: Station) => Part,
  end?: (part: Part) => void,
): (station: Station) => Part {
  const parts = new WeakMap<Station, { part: Part }>();
  return (station) => {
    let kept = parts.get(station);
    if (kept === undefined) {
      const part = make(station);
      kept = { part };
      parts.set(station, kept);
      if (end !== undefined) {
        station.whenEnded(() => {
          end(part);
        });
      }
    }
    return kept.part;
  };
}
