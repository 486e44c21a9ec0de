/**
 * What a screen reader is told: changes of the connection and results of commands, never the stream of messages.
 * Countdowns and repeated attempts are left out, they would never end.
 */
import type { LinkStatus } from '../mqtt/protocol.ts';
import { FrameStore } from '../ui/frame-store.ts';

export class Announcer extends FrameStore<string> {
  #text = '';
  #connected: boolean | undefined;

  say(text: string): void {
    this.#text = text;
    this.changed();
  }

  handleLink(status: LinkStatus): void {
    if (status.phase === 'connecting') return;
    const connected = status.phase === 'connected';
    if (connected === this.#connected) return;
    this.#connected = connected;
    this.say(connected ? 'Connected to the broker' : 'Not connected to the broker');
  }

  protected override view(): string {
    return this.#text;
  }
}
