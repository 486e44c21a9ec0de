/**
 * Commands that the user saved for later, in this browser, for all devices. Only what the user asks to keep is kept.
 */
import { create } from 'zustand';
import { persist } from 'zustand/middleware';

export interface Template {
  name: string;
  payload: string;
}

export const TEMPLATES_MAX = 50;
const NAME_CHARS_MAX = 60;
const PAYLOAD_CHARS_MAX = 8_192;

interface Templates {
  templates: readonly Template[];
  /** Takes the place of one with the same name. Returns why it cannot be kept, or nothing. */
  save: (template: Template) => string | undefined;
  remove: (name: string) => void;
}

export const useTemplates = create<Templates>()(
  persist(
    (set, get) => ({
      templates: [],
      save: ({ name, payload }) => {
        if (name === '' || name.length > NAME_CHARS_MAX) {
          return `A name has 1 to ${NAME_CHARS_MAX} characters.`;
        }
        if (payload.length > PAYLOAD_CHARS_MAX) {
          return `The command is longer than ${PAYLOAD_CHARS_MAX} characters.`;
        }
        const others = get().templates.filter((one) => one.name !== name);
        if (others.length >= TEMPLATES_MAX) return `There are ${TEMPLATES_MAX} already: remove one first.`;
        const templates = [...others, { name, payload }].sort((a, b) => (a.name < b.name ? -1 : 1));
        set({ templates });
        return undefined;
      },
      remove: (name) => {
        set({ templates: get().templates.filter((one) => one.name !== name) });
      },
    }),
    {
      name: 'wigwag.command-templates',
      version: 1,
      partialize: ({ templates }) => ({ templates }),
      merge: (stored, templates) => ({ ...templates, templates: readTemplates(stored) }),
    },
  ),
);

/** What is stored may be from another version, or from somebody's hand. */
export function readTemplates(stored: unknown): readonly Template[] {
  const { templates } = (stored ?? {}) as { templates?: unknown };
  if (!Array.isArray(templates)) return [];
  return templates.filter(isTemplate).slice(0, TEMPLATES_MAX);
}

function isTemplate(value: unknown): value is Template {
  const { name, payload } = (value ?? {}) as Partial<Record<keyof Template, unknown>>;
  return typeof name === 'string' && name !== '' && typeof payload === 'string';
}
