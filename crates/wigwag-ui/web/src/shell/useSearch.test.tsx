import { act, render, screen } from '@testing-library/react';
import type { NavigateFunction } from 'react-router';
import { MemoryRouter, useLocation, useNavigate } from 'react-router';
import { expect, test } from 'vitest';

import type { ChangeSearch } from './useSearch.ts';
import { useSearch } from './useSearch.ts';

const tools: { change?: ChangeSearch; navigate?: NavigateFunction } = {};

function Screen() {
  const [search, change] = useSearch();
  const { pathname, hash, state } = useLocation();
  tools.change = change;
  tools.navigate = useNavigate();
  return <p>{`${pathname} ${search.toString()} ${hash} ${String(state)}`}</p>;
}

function start(basename = '/') {
  const at = { pathname: `${basename === '/' ? '' : basename}/explore/a`, search: '?q=x', hash: '#h', state: 'kept' };
  render(
    <MemoryRouter basename={basename} initialEntries={[at]}>
      <Screen />
    </MemoryRouter>,
  );
}

function change(name: string, value: string): void {
  tools.change?.((search) => {
    search.set(name, value);
    return search;
  });
}

test.each(['/', '/below'])('changes before the first is drawn are all kept: %s', (basename) => {
  start(basename);
  act(() => {
    change('view', 'changes');
    change('q', 'y');
  });
  expect(screen.getByText('/explore/a q=y&view=changes #h kept')).toBeTruthy();
});

test('a topic that was gone to in between stays the one that is open', () => {
  start();
  act(() => {
    void tools.navigate?.('/explore/b?q=x');
    change('view', 'history');
  });
  expect(screen.getByText('/explore/b q=x&view=history null')).toBeTruthy();
});

test('a screen that is left changes nothing of the next one', () => {
  start();
  act(() => {
    void tools.navigate?.('/devices');
    change('q', 'y');
  });
  expect(screen.getByText('/devices null')).toBeTruthy();
});
