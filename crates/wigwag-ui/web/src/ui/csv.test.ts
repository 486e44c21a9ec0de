import { expect, test } from 'vitest';

import { csvLine } from './csv.ts';

test.each([
  [['a', 1, -2.5], 'a,1,-2.5\r\n'],
  [['a,b', 'say "hi"', 'two\nlines'], '"a,b","say ""hi""","two\nlines"\r\n'],
  [['=1+1', '@x', '-1+1', '-5', '\tx'], "'=1+1,'@x,'-1+1,-5,'\tx\r\n"],
])('%j as a line', (cells, line) => {
  expect(csvLine(cells)).toBe(line);
});
