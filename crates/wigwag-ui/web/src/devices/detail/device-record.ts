/**
 * What is recorded of the devices whose pages were opened: every message, and every number over time. A record goes on
 * while other pages are shown; of more devices than {@link RECORDS_MAX} the one not looked at for longest is given up.
 */
import { MessageLog } from '../../log/message-log.ts';
import type { LogEntry } from '../../log/message-log.ts';
import { FrameStore } from '../../ui/frame-store.ts';
import { matches } from '../../mqtt/filter.ts';
import type { Device } from '../model.ts';
import { POINTS_MAX, Series } from './series.ts';

export const RECORDS_MAX = 8;
/** The broker sends us what we published a moment ago, if it does. */
const ECHO_WITHIN_MS = 10_000;

/** By the key of their field, in the order in which they were first seen. */
export type SeriesView = ReadonlyMap<string, Series>;

export class DeviceRecord extends FrameStore<SeriesView> {
  readonly log = new MessageLog();
  readonly since: number;
  readonly #series = new Map<string, Series>();
  #sent: { text: string; correlation: string | undefined; at: number }[] = [];

  constructor(since: number) {
    super();
    this.since = since;
  }

  /** What was known before the record began, and what of the messages so far is about the device. */
  begin(device: Device, messages: readonly LogEntry[]): void {
    const filters = device.topics.map(({ filter }) => filter);
    for (const entry of messages) {
      if (filters.some((filter) => matches(filter, entry.topic))) this.log.add(entry);
    }
    for (const { key, samples } of device.fields) {
      for (const { at, value } of samples?.all() ?? []) this.#seriesOf(key).add(at, value);
    }
    this.handleUpdate(device);
  }

  /** Values that are there already are not added again. */
  handleUpdate(device: Device): void {
    for (const { key, value, at } of device.fields) {
      if (typeof value === 'number') this.#seriesOf(key).add(at, value);
    }
    this.changed();
  }

  /** What others have recorded: numbers by the key of their field, and messages, each in order of time. */
  addPast(
    series: ReadonlyMap<string, { times: readonly number[]; values: readonly number[] }>,
    messages: readonly Omit<LogEntry, 'seq'>[],
  ): void {
    for (const [key, { times, values }] of series) this.#seriesOf(key).addPast(times, values);
    this.log.addPast(messages);
    this.changed();
  }

  /** Whether older values would have no place. */
  get isFull(): boolean {
    return [...this.#series.values()].some((series) => series.isFull);
  }

  handleSent(entry: Omit<LogEntry, 'seq'>, correlation: string | undefined): void {
    this.#sent = this.#sent.filter(({ at }) => entry.at - at < ECHO_WITHIN_MS);
    this.#sent.push({ text: entry.text, correlation, at: entry.at });
    this.log.add(entry);
  }

  /**
   * A command from whomever; our own are in the log already. While retained topics are looked at, some brokers send
   * a copy for each of our subscriptions: correlation data tell that all of them are ours.
   */
  handleCommand(entry: Omit<LogEntry, 'seq'>, correlation: string | undefined): void {
    // What is not text comes without one.
    const ours = this.#sent.findIndex(
      (sent) => (entry.text === '' || sent.text === entry.text) && sent.correlation === correlation,
    );
    if (ours === -1) this.log.add(entry);
    else if (correlation === undefined) this.#sent.splice(ours, 1);
  }

  protected override view(): SeriesView {
    return new Map(this.#series);
  }

  #seriesOf(key: string): Series {
    let series = this.#series.get(key);
    if (series === undefined && this.#series.size < SERIES_MAX) {
      series = new Series();
      this.#series.set(key, series);
      const capacity = Math.min(POINTS_MAX, Math.floor(VALUES_MAX / this.#series.size));
      for (const one of this.#series.values()) one.limit(capacity);
    }
    return series ?? new Series();
  }
}

/** Fields that come and go must not fill the memory. */
const SERIES_MAX = 64;
/** Values of all fields together: 8 MiB, and of all records 64 MiB. */
export const VALUES_MAX = 500_000;

interface Kept {
  record: DeviceRecord;
  topics: Device['topics'];
  end: () => void;
}

export class RecordShelf {
  readonly #records = new Map<string, Kept>();
  readonly #watch: (device: Device, record: DeviceRecord) => () => void;

  /** `watch` has the record fed with what nobody else asks the broker for, until the function it returned is called. */
  constructor(watch: (device: Device, record: DeviceRecord) => () => void) {
    this.#watch = watch;
  }

  /** The record of the device, begun now if there is none. */
  open(device: Device, messages: readonly LogEntry[]): DeviceRecord {
    const { id } = device;
    const kept = this.#records.get(id);
    if (kept !== undefined) {
      this.#records.delete(id);
      this.#records.set(id, kept);
      return kept.record;
    }
    const record = new DeviceRecord(Date.now());
    record.begin(device, messages);
    this.#records.set(id, { record, topics: device.topics, end: this.#watch(device, record) });
    if (this.#records.size > RECORDS_MAX) this.#giveUpOldest();
    return record;
  }

  /** For whoever has news of the device; it may be that nobody is interested. */
  find(id: string): DeviceRecord | undefined {
    return this.#records.get(id)?.record;
  }

  /** What the device has become; another set of topics is watched in place of the one before. */
  handleUpdate(device: Device): void {
    const kept = this.#records.get(device.id);
    if (kept === undefined) return;
    kept.record.handleUpdate(device);
    if (kept.topics === device.topics) return;
    const end = kept.end;
    kept.topics = device.topics;
    kept.end = this.#watch(device, kept.record);
    // Afterwards, so that what is in both stays subscribed to.
    end();
  }

  #giveUpOldest(): void {
    const [id, oldest] = this.#records.entries().next().value ?? [];
    if (id === undefined) return;
    oldest?.end();
    this.#records.delete(id);
  }
}
