/**
 * What every page gets from the shell: the focus and the top of the screen when it is gone to, and something to say when
 * it breaks, or when its code does not come because the server is away or has another version by now.
 */
import type { ReactNode } from 'react';
import { Component, useEffect } from 'react';
import { NavigationType, useNavigationType } from 'react-router';

import { Button } from '../ui/Button.tsx';
import { PageHeader } from './PageHeader.tsx';

export function PageFrame({ children }: { children: ReactNode }) {
  return (
    <Guard broken={(problem) => <Broken problem={problem} />}>
      <Arrival />
      {children}
    </Guard>
  );
}

/** Beside the page, so that it arrives with it and not before. */
function Arrival() {
  const how = useNavigationType();
  useEffect(() => {
    // The first page of the tab, or one gone back to: the browser knows where we were.
    if (how === NavigationType.Pop) return;
    window.scrollTo(0, 0);
    document.getElementById('page')?.focus({ preventScroll: true });
    // Only when the page comes: what changes in its address later is its own business.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return null;
}

interface GuardProps {
  children: ReactNode;
  /** What is shown in their place. */
  broken: (problem: string) => ReactNode;
}

/** Holds what breaks, so that the rest goes on. */
export class Guard extends Component<GuardProps, { problem: string | undefined }> {
  override state: { problem: string | undefined } = { problem: undefined };

  static getDerivedStateFromError(error: unknown): { problem: string } {
    return { problem: error instanceof Error ? error.message : String(error) };
  }

  override render(): ReactNode {
    const { problem } = this.state;
    return problem === undefined ? this.props.children : this.props.broken(problem);
  }
}

function Broken({ problem }: { problem: string }) {
  return (
    <>
      <PageHeader title="This page cannot be shown" />
      <Reload problem={problem} />
    </>
  );
}

export function Reload({ problem }: { problem: string }) {
  return (
    <>
      <p role="alert" className="max-w-prose text-ink-soft">
        Either the server does not answer, or it has a newer version by now: a reload helps once it answers.
        Or there is a mistake in this page: <code className="font-mono text-xs wrap-anywhere">{problem}</code>
      </p>
      <Button
        icon="retry"
        className="self-start"
        onClick={() => {
          window.location.reload();
        }}
      >
        Reload
      </Button>
    </>
  );
}
