/**
 * What the page's main thread had to do for a while, by the browser's own trace of it: the time of the processor that it
 * took, which does not depend on what else the machine has to do. And the gaps between frames as the page sees them,
 * which do. For the log only: how fast a machine is makes no test fail.
 */

/** What the page is meant to keep to. */
const BUSY_MAX = 0.25;
const GAP_MS_MAX = 100;

/** What its time went into, by the names that the browser has for it. */
const KINDS = {
  script: [
    'FunctionCall',
    'EvaluateScript',
    'TimerFire',
    'FireAnimationFrame',
    'RunMicrotasks',
    'v8.callFunction',
  ],
  layout: ['Layout', 'UpdateLayoutTree', 'PrePaint', 'Paint', 'Layerize', 'Commit'],
  collection: ['MinorGC', 'MajorGC', 'BlinkGC.AtomicPhase', 'V8.GCScavenger', 'V8.GCFinalizeMC'],
};

/** Each task of a thread has two events, one within the other. */
const TASK = /^(?:ThreadControllerImpl::)?RunTask$/;

/** `act` is what happens meanwhile; without one, it is looked on for `durationMs`. */
export async function measureMainThread(browser, page, act) {
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', 'v8', '__metadata'] });
  const gaps = page.evaluate(watchFrames);
  const startedAt = Date.now();
  await act();
  const tookMs = Date.now() - startedAt;
  await page.evaluate(() => globalThis.endOfWatch());
  const { gap } = await gaps;
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  return { ...account(traceEvents, tookMs), gapMs: gap };
}

/** A line for the log of the test. */
export function told({ busy, longestTaskMs, gapMs, shares }) {
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const parts = Object.entries(shares).map(([kind, share]) => `${kind} ${percent(share)}`);
  const isKept = busy < BUSY_MAX && gapMs < GAP_MS_MAX;
  return (
    `main thread ${percent(busy)} busy (${parts.join(', ')}), ` +
    `longest task ${Math.round(longestTaskMs)} ms, longest frame gap ${Math.round(gapMs)} ms: ` +
    `${isKept ? 'within' : 'beyond'} the bounds of ${percent(BUSY_MAX)} and ${GAP_MS_MAX} ms`
  );
}

function watchFrames() {
  return new Promise((resolve) => {
    const { performance, requestAnimationFrame } = globalThis;
    let isOver = false;
    let last = performance.now();
    let gap = 0;
    globalThis.endOfWatch = () => {
      isOver = true;
    };
    const frame = (now) => {
      gap = Math.max(gap, now - last);
      last = now;
      if (isOver) resolve({ gap });
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

function account(events, tookMs) {
  const main = mainThreadOf(events);
  const own = events.filter((event) => threadOf(event) === main && event.ph === 'X');
  const tasks = outermost(own.filter(({ name }) => TASK.test(name)));
  const shares = Object.fromEntries(
    Object.entries(KINDS).map(([kind, names]) => [
      kind,
      timeOf(outermost(own.filter(({ name }) => names.includes(name)))) / tookMs,
    ]),
  );
  const longestTaskMs = Math.max(0, ...tasks.map(({ tdur = 0 }) => tdur / 1_000));
  return { busy: timeOf(tasks) / tookMs, longestTaskMs, shares };
}

/** Of the renderers, the one that did most: a browser keeps spare ones. */
function mainThreadOf(events) {
  const names = events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain');
  const work = new Map(names.map((event) => [threadOf(event), 0]));
  for (const event of events) {
    const thread = threadOf(event);
    if (TASK.test(event.name) && work.has(thread)) work.set(thread, work.get(thread) + (event.dur ?? 0));
  }
  return [...work].sort(([, a], [, b]) => b - a)[0]?.[0];
}

function threadOf({ pid, tid }) {
  return `${pid}/${tid}`;
}

/** Without those that lie within another one. */
function outermost(events) {
  let end = -Infinity;
  return [...events]
    .sort((a, b) => a.ts - b.ts || b.dur - a.dur)
    .filter(({ ts, dur }) => {
      const isWithin = ts + dur <= end;
      end = Math.max(end, ts + dur);
      return !isWithin;
    });
}

/** Milliseconds of the processor. */
function timeOf(events) {
  return events.reduce((sum, { tdur = 0 }) => sum + tdur, 0) / 1_000;
}
