/**
 * Collects the licence texts of every package whose code or font ends up in the output into `licences.txt`, as those
 * licences ask of whoever passes the code on.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

interface Manifest {
  name: string;
  version: string;
  license?: string;
  dependencies?: Record<string, string>;
}

const PACKAGE_OF_MODULE = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//;

/** Packages that reach the output out of this plugin's sight: through the stylesheet, or in the worker's own bundle. */
const OUT_OF_SIGHT = ['tailwindcss', '@fontsource-variable/inter', 'mqtt', 're2js'];

export function licences(): Plugin {
  const folders = new Set<string>();
  const collect = (id: string): void => {
    const folder = PACKAGE_OF_MODULE.exec(id.replaceAll('\\', '/'))?.[1];
    if (folder !== undefined && !folder.startsWith('\0')) folders.add(folder);
  };
  return {
    name: 'wigwag:licences',
    apply: 'build',
    configResolved(config) {
      for (const name of OUT_OF_SIGHT) addWithDependencies(join(config.root, 'node_modules'), name, folders);
    },
    moduleParsed({ id }) {
      collect(id);
    },
    generateBundle() {
      const notices = [...folders].map(notice).sort();
      this.emitFile({
        type: 'asset',
        fileName: 'licences.txt',
        source: notices.join(`\n${'-'.repeat(72)}\n\n`),
      });
    },
  };
}

/** mqtt.js comes as one file with its dependencies inside. A few serve Node only; naming them too does no harm. */
function addWithDependencies(modules: string, name: string, folders: Set<string>): void {
  const folder = join(modules, name).replaceAll('\\', '/');
  if (folders.has(folder) || !existsSync(folder)) return;
  folders.add(folder);
  for (const dependency of Object.keys(manifestOf(folder).dependencies ?? {})) {
    addWithDependencies(modules, dependency, folders);
  }
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

function notice(folder: string): string {
  const manifest = manifestOf(folder);
  const texts = readdirSync(folder)
    .filter((name) => /^(?:licen[cs]e|notice|copying)(?:[.-]|$)/i.test(name))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8').trim());
  const heading = `${manifest.name} ${manifest.version} (${manifest.license ?? 'see below'})`;
  return [heading, ...texts].join('\n\n') + '\n';
}
