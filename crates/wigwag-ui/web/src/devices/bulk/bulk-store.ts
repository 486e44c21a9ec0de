/**
 * A command to many devices on its way: at a bounded rate, with a bounded number unanswered, and what became of each.
 * It goes on while other pages are looked at. How a single one is sent is up to the function it is given.
 */
import { FrameStore } from '../../ui/frame-store.ts';
import type { Ending } from '../command-store.ts';
import { Pacer } from './pacing.ts';
import type { Plan, Step } from './plan.ts';

export const RESULT_KINDS = [
  'waiting',
  'pending',
  'confirmed',
  'delivered',
  'rejected',
  'unheard',
  'timed-out',
  'interrupted',
  'busy',
  'gone',
  'not-sent',
] as const;
export type ResultKind = (typeof RESULT_KINDS)[number];

export interface Result {
  kind: ResultKind;
  sentAt?: number;
  tookMs?: number;
  error?: string;
}

export type RunPhase =
  | 'sending'
  /** Until somebody lets it go on, because somebody paused it or the connection was lost. */
  | 'paused'
  /** All are sent; some answers are still to come. */
  | 'settling'
  | 'done'
  | 'cancelled';

export interface RunView {
  /** What is done, in words, such as “Start”. */
  name: string;
  phase: RunPhase;
  /** Why it is paused, if nobody asked for it. */
  reason: string | undefined;
  steps: readonly Step[];
  /** One per step. */
  results: readonly Result[];
  counts: ReadonlyMap<ResultKind, number>;
  unable: Plan['unable'];
  startedAt: number;
}

/** Tells at once whether it was sent; `told` is called with each thing that becomes known of it. */
export type Send = (step: Step, told: (end: Ending) => void) => 'sent' | 'busy' | 'gone';

export const RATES_PER_SEC = [10, 50, 200, 1_000] as const;
export const RATE_PER_SEC = 50;
/** A broker or devices that answer slowly get no more than this ahead of their answers. */
export const PENDING_MAX = 500;
const TICK_MS = 50;
/** The list of results is drawn anew with each view. */
const REST_MS = 200;

const WAITING: Result = { kind: 'waiting' };

interface Run {
  name: string;
  plan: Plan;
  phase: RunPhase;
  reason: string | undefined;
  startedAt: number;
  pacer: Pacer;
  results: Result[];
  counts: Map<ResultKind, number>;
  /** The step that is next. */
  next: number;
}

export class BulkStore extends FrameStore<RunView | undefined> {
  readonly #send: Send;
  readonly #say: (text: string) => void;
  #run: Run | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `say` is for assistive technology: once at the end of a run, not for each device. */
  constructor(send: Send, say: (text: string) => void) {
    super();
    this.#send = send;
    this.#say = say;
  }

  /** Whether there is still something to wait for or to decide. */
  get isBusy(): boolean {
    return this.#run !== undefined && this.#run.phase !== 'done' && this.#run.phase !== 'cancelled';
  }

  /** Does nothing while another one is on its way. */
  begin(name: string, plan: Plan, perSec: number): void {
    if (this.isBusy) return;
    const results = plan.steps.map(() => WAITING);
    this.#run = {
      name,
      plan,
      phase: 'sending',
      reason: undefined,
      startedAt: Date.now(),
      pacer: new Pacer(perSec, Date.now()),
      results,
      counts: new Map([['waiting', results.length]]),
      next: 0,
    };
    this.#schedule();
    this.changedByHand();
  }

  pause(reason?: string): void {
    if (this.#run?.phase !== 'sending') return;
    this.#run.phase = 'paused';
    this.#run.reason = reason;
    this.changedByHand();
  }

  resume(): void {
    if (this.#run?.phase !== 'paused') return;
    this.#run.phase = 'sending';
    this.#run.reason = undefined;
    this.changedByHand();
  }

  /** What is sent is sent; nothing else will be. */
  cancel(): void {
    const run = this.#run;
    if (run === undefined || !this.isBusy) return;
    for (; run.next < run.results.length; run.next++) this.#set(run, run.next, { kind: 'not-sent' });
    run.phase = 'cancelled';
    this.#finish(run);
    this.changedByHand();
  }

  /** Forgets what is over. */
  dismiss(): void {
    if (this.isBusy) return;
    this.#run = undefined;
    this.changedByHand();
  }

  handleDisconnected(): void {
    this.pause('the connection to the broker was lost');
  }

  protected override restMs(): number {
    return REST_MS;
  }

  protected override view(): RunView | undefined {
    if (this.#run === undefined) return undefined;
    const { name, phase, reason, plan, results, counts, startedAt } = this.#run;
    return {
      name,
      phase,
      reason,
      steps: plan.steps,
      results: [...results],
      counts: new Map(counts),
      unable: plan.unable,
      startedAt,
    };
  }

  #schedule(): void {
    this.#timer ??= setInterval(() => {
      this.#tick();
    }, TICK_MS);
  }

  #tick(): void {
    const run = this.#run;
    if (run === undefined || run.phase === 'paused') return;
    if (run.phase === 'sending') {
      const room = PENDING_MAX - (run.counts.get('pending') ?? 0);
      const wanted = Math.min(run.results.length - run.next, room);
      for (let left = run.pacer.take(wanted, Date.now()); left > 0; left--) this.#sendNext(run);
      if (run.next === run.results.length) run.phase = 'settling';
    }
    if (run.phase === 'settling' && (run.counts.get('pending') ?? 0) === 0) {
      run.phase = 'done';
      this.#finish(run);
    }
    this.changed();
  }

  #sendNext(run: Run): void {
    const index = run.next++;
    const step = run.plan.steps[index];
    if (step === undefined) return;
    const sentAt = Date.now();
    this.#set(run, index, { kind: 'pending', sentAt });
    const sent = this.#send(step, (end) => {
      this.#set(run, index, { ...resultOf(end), sentAt });
      this.changed();
    });
    if (sent !== 'sent') this.#set(run, index, { kind: sent });
  }

  #set(run: Run, index: number, result: Result): void {
    const before = run.results[index];
    if (before === undefined) return;
    run.counts.set(before.kind, (run.counts.get(before.kind) ?? 0) - 1);
    run.counts.set(result.kind, (run.counts.get(result.kind) ?? 0) + 1);
    run.results[index] = result;
  }

  #finish(run: Run): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const good = (run.counts.get('confirmed') ?? 0) + (run.counts.get('delivered') ?? 0);
    const end = run.phase === 'cancelled' ? 'cancelled' : 'done';
    this.#say(`${run.name} ${end}: ${good} of ${run.results.length} devices confirmed it`);
  }
}

function resultOf(end: Ending): Result {
  switch (end.phase) {
    case 'confirmed':
      return { kind: 'confirmed', tookMs: end.tookMs };
    case 'rejected':
      return { kind: 'rejected', error: end.error };
    case 'delivered':
    case 'unheard':
    case 'timed-out':
    case 'interrupted':
      return { kind: end.phase };
  }
}
