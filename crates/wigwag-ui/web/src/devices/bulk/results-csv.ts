/** What became of a command to many devices, as a table for other programs: RFC 4180, a line per device. Pure. */
import { csvLine } from '../../ui/csv.ts';
import type { RunView } from './bulk-store.ts';
import { WORDS } from './words.ts';

const HEAD = ['device', 'name', 'source', 'topic', 'payload', 'result', 'error', 'sent', 'took_ms'];

export function resultsCsv({
  steps,
  results,
  unable,
}: Pick<RunView, 'steps' | 'results' | 'unable'>): string {
  const sent = steps.map(({ device, topic, payload }, index) => {
    const { kind, error = '', sentAt, tookMs = '' } = results[index] ?? { kind: 'waiting' };
    const at = sentAt === undefined ? '' : new Date(sentAt).toISOString();
    return [device.id, device.name, device.source, topic, payload, WORDS[kind], error, at, tookMs];
  });
  const others = unable.map(({ device, why }) => {
    return [device.id, device.name, device.source, '', '', 'not possible', why, '', ''];
  });
  return [HEAD, ...sent, ...others].map(csvLine).join('');
}
