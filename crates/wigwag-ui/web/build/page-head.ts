/**
 * Writes the head of index.html that Vite must not touch: `<base>`, and the script that sets the theme before the first
 * paint. In the build the base says "beside this page" and the server corrects it for deeper pages; the development
 * server always serves from the root.
 */
import type { Plugin } from 'vite';

const AFTER = '<meta charset="utf-8" />';

export function pageHead(): Plugin {
  let base = './';
  return {
    name: 'wigwag:page-head',
    configResolved(config) {
      base = config.command === 'serve' ? '/' : './';
    },
    transformIndexHtml: {
      order: 'post',
      handler(html) {
        if (!html.includes(AFTER)) throw new Error(`index.html must contain ${AFTER}`);
        return html.replace(
          AFTER,
          `${AFTER}\n    <base href="${base}" />\n    <script src="./theme.js"></script>`,
        );
      },
    },
  };
}
