/**
 * Leaves `.br` and `.gz` twins beside every output file that gets markedly smaller, so that the server compresses
 * nothing at run time.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const COMPRESSIBLE = /\.(?:css|html|js|json|svg|txt)$/;
const BYTES_MIN = 1024;
/** A twin must save at least a tenth; less is not worth its place in the binary. */
const RATIO_MAX = 0.9;

export function precompress(): Plugin {
  let outDir = '';
  return {
    name: 'wigwag:precompress',
    apply: 'build',
    configResolved(config) {
      outDir = join(config.root, config.build.outDir);
    },
    writeBundle: { order: 'post', sequential: true, handler: () => compressFolder(outDir) },
  };
}

async function compressFolder(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && COMPRESSIBLE.test(entry.name));
  await Promise.all(files.map((file) => compressFile(join(file.parentPath, file.name))));
}

async function compressFile(path: string): Promise<void> {
  const data = await readFile(path);
  if (data.length < BYTES_MIN) return;
  const twins = {
    '.br': brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }),
    '.gz': gzipSync(data, { level: 9 }),
  };
  for (const [extension, twin] of Object.entries(twins)) {
    if (twin.length < data.length * RATIO_MAX) await writeFile(path + extension, twin);
  }
}
