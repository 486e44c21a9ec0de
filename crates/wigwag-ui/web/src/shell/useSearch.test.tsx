import { fireEvent, render, screen } from '@testing-library/react';
import type { NavigateFunction } from 'react-router';
import { MemoryRouter, useLocation, useNavigate } from 'react-router';
import { expect, test } from 'vitest';

import { useSearch } from './useSearch.ts';

/** What is done at once, before the router draws anything. */
type Act = (set: (name: string, value: string) => void, navigate: NavigateFunction) => void;

function Screen({ act }: { act: Act }) {
  const [search, change] = useSearch();
  const location = useLocation();
  const navigate = useNavigate();
  const set = (name: string, value: string): void => {
    change((before) => {
      before.set(name, value);
      return before;
    });
  };
  return (
    <button
      type="button"
      onClick={() => {
        act(set, navigate);
      }}
    >
      {`${location.pathname} ${search.toString()} ${location.hash} ${String(location.state)}`}
    </button>
  );
}

function addressAfter(act: Act, basename = '/'): string | null {
  const at = {
    pathname: `${basename === '/' ? '' : basename}/explore/a`,
    search: '?q=x',
    hash: '#h',
    state: 'kept',
  };
  render(
    <MemoryRouter basename={basename} initialEntries={[at]}>
      <Screen act={act} />
    </MemoryRouter>,
  );
  fireEvent.click(screen.getByRole('button'));
  return screen.getByRole('button').textContent;
}

test.each(['/', '/below'])('changes before the first is drawn are all kept: %s', (basename) => {
  const address = addressAfter((set) => {
    set('view', 'changes');
    set('q', 'y');
  }, basename);
  expect(address).toBe('/explore/a q=y&view=changes #h kept');
});

test('a topic that was gone to in between stays the one that is open', () => {
  const address = addressAfter((set, navigate) => {
    void navigate('/explore/b?q=x');
    set('view', 'history');
  });
  expect(address).toBe('/explore/b q=x&view=history  null');
});

test('a screen that is left changes nothing of the next one', () => {
  const address = addressAfter((set, navigate) => {
    void navigate('/devices');
    set('q', 'y');
  });
  expect(address).toBe('/devices   null');
});
