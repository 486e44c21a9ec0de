/**
 * Asks for the user name and the password that the broker wants. To the server of the page, if that is the broker, they
 * are sent once and kept nowhere. Else they go to the worker, which keeps them in memory for the next connection: a reload
 * forgets them.
 */
import type { SubmitEvent } from 'react';
import { useEffect, useState } from 'react';

import { placeOf } from '../config.ts';
import type { LinkStatus } from '../mqtt/protocol.ts';
import { sessionOf } from '../session.ts';
import { useStation } from '../station.ts';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { useStore } from '../ui/frame-store.ts';
import { TextField } from '../ui/TextField.tsx';
import { loginCautions } from './login-cautions.ts';

/** Of the server of the page. */
type Answer = 'awaited' | { problem: string };

export function LoginDialog({ onClose }: { onClose: () => void }) {
  const station = useStation();
  const { url, status, userName: current } = useStore(station.connection);
  const [userName, setUserName] = useState(current ?? '');
  const [password, setPassword] = useState('');
  // What was the case when the form was sent: a refusal from before says nothing about what is in it now. It may have been
  // sent in the dialog of another station, whose place this one has taken.
  const [before, setBefore] = useState(() =>
    isFirstAttempt(status) && current !== undefined ? status : undefined,
  );
  const session = sessionOf(station);
  const [answer, setAnswer] = useState<Answer>();
  const isTrying =
    answer === 'awaited' || (before !== undefined && (status === before || status.phase === 'connecting'));
  // With a session, whoever it was before has not been refused: the session is over.
  const isRefused = session === undefined && status.phase === 'login' && current !== undefined && !isTrying;
  const problem =
    typeof answer === 'object' ? answer.problem : isRefused ? refusal(status.reason) : undefined;
  // Who was connected before may be so again within one frame.
  const isIn = before !== undefined && status !== before && status.phase === 'connected';
  useEffect(() => {
    if (isIn) onClose();
  }, [isIn, onClose]);
  const isStranger = station.broker.from === 'address';
  const cautions = loginCautions(url, isStranger);
  // A stranger's broker must not be handed what the browser remembers for this page.
  const remembered = isStranger ? 'off' : undefined;

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isTrying || userName === '') return;
    setPassword('');
    if (session === undefined) {
      station.login({ userName, password });
      setBefore(status);
      return;
    }
    setAnswer('awaited');
    void session.login({ userName, password }).then((why) => {
      setAnswer(why === undefined ? undefined : { problem: refusal(why) });
      if (why === undefined && status.phase === 'connected') onClose();
    });
  };
  return (
    <Dialog title="Log in to the broker" onClose={onClose} className="md:max-w-md">
      <form onSubmit={submit} className="flex flex-col gap-4 p-5">
        <p className="text-ink-soft">
          <span className="font-mono text-xs wrap-anywhere text-ink">{placeOf(station.broker)}</span> wants to
          know who you are.{' '}
          {session === undefined
            ? 'User name and password are kept in memory until this page is closed or reloaded.'
            : 'The password is kept nowhere: you stay logged in until you log out, or for a day without use.'}
        </p>
        {cautions.map((caution) => (
          <p key={caution} className="rounded-lg bg-warn-soft px-3 py-2 text-warn">
            {caution}
          </p>
        ))}
        <TextField
          label="User name"
          value={userName}
          onChange={setUserName}
          autoComplete={remembered ?? 'username'}
          autoCapitalize="none"
          spellCheck={false}
          required
          autoFocus
        />
        <TextField
          label="Password"
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete={remembered ?? 'current-password'}
          problem={problem}
        />
        <div className="flex flex-wrap justify-end gap-2">
          <Button look="ghost" onClick={onClose}>
            Not now
          </Button>
          <Button type="submit" look="solid" disabled={isTrying || userName === ''}>
            {isTrying ? 'Logging in…' : 'Log in'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function isFirstAttempt(status: LinkStatus): boolean {
  return status.phase === 'connecting' && status.attempt === 1;
}

function refusal(reason: string): string {
  return `The broker refused this user name and password. It said: ${reason}.`;
}
