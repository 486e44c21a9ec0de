/** A card of settings that belong together. */
import type { ReactNode } from 'react';
import { useId } from 'react';

export function Section({ title, note, children }: { title: string; note?: string; children: ReactNode }) {
  const id = useId();
  return (
    <section
      aria-labelledby={id}
      className="flex flex-col gap-3 rounded-card border border-line bg-surface p-5 shadow-card"
    >
      <div>
        <h2 id={id} className="text-lg font-semibold tracking-tight">
          {title}
        </h2>
        {note !== undefined && <p className="text-ink-soft">{note}</p>}
      </div>
      {children}
    </section>
  );
}
