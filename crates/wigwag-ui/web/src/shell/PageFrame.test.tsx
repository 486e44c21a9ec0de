import { render, screen } from '@testing-library/react';
import { MemoryRouter } from 'react-router';
import { expect, test, vi } from 'vitest';

import { Station, StationProvider } from '../station.ts';
import { brokerAt } from '../testing.ts';
import { PageFrame } from './PageFrame.tsx';

test('a page that breaks says so, as text, and offers a reload', () => {
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const port = { post: () => undefined, listen: () => undefined, end: () => undefined };
  const station = new Station(port, brokerAt('ws://b'));
  render(
    <StationProvider value={station}>
      <MemoryRouter>
        <PageFrame>
          <Faulty />
        </PageFrame>
      </MemoryRouter>
    </StationProvider>,
  );
  expect(screen.getByRole('heading', { name: 'This page cannot be shown' })).toBeTruthy();
  expect(screen.getByText('<b>oh</b>')).toBeTruthy();
  expect(screen.getByRole('button', { name: 'Reload' })).toBeTruthy();
});

function Faulty(): never {
  throw new Error('<b>oh</b>');
}
