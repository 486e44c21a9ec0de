/** Messages saved under a name, in this browser's storage and nowhere else. */
import { create } from 'zustand';
import { persist } from 'zustand/middleware';

import type { Draft } from './draft.ts';

export interface Template {
  name: string;
  draft: Draft;
}

interface Templates {
  templates: readonly Template[];
  /** Takes the place of one with the same name. */
  save: (name: string, draft: Draft) => void;
  remove: (name: string) => void;
}

export const TEMPLATES_MAX = 100;

export const useTemplates = create<Templates>()(
  persist(
    (set) => ({
      templates: [],
      save: (name, draft) => {
        set(({ templates }) => ({
          templates: [...without(templates, name), { name, draft }]
            .sort((left, right) => left.name.localeCompare(right.name))
            .slice(0, TEMPLATES_MAX),
        }));
      },
      remove: (name) => {
        set(({ templates }) => ({ templates: without(templates, name) }));
      },
    }),
    { name: 'wigwag.templates', version: 1, partialize: ({ templates }) => ({ templates }) },
  ),
);

function without(templates: readonly Template[], name: string): Template[] {
  return templates.filter((template) => template.name !== name);
}
