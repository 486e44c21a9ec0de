/** The version of the server that the page is from, where it says one. */
import { createContext, use } from 'react';

const VersionContext = createContext<string | undefined>(undefined);

export const VersionProvider = VersionContext.Provider;

export function useVersion(): string | undefined {
  return use(VersionContext);
}
