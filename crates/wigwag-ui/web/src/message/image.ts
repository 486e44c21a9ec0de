/** Which pictures a browser can draw, told by how their bytes begin. What a sender says of it is not believed. */
const BEGINNINGS: readonly [type: string, beginning: RegExp][] = [
  // eslint-disable-next-line no-control-regex -- the signature of PNG has them
  ['image/png', /^\x89PNG\r\n\x1a\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8[79]a/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
  ['image/avif', /^[^]{4}ftyp(?:avi[fs]|mif1[^]{4,}avif)/],
  // eslint-disable-next-line no-control-regex -- the sizes of its headers, of which the first is from OS/2
  ['image/bmp', /^BM[^]{4}\0{4}[^]{4}[\x0c(lm|]\0{3}/],
  // eslint-disable-next-line no-control-regex -- a directory of up to 64 icons or cursors, and where the first is
  ['image/x-icon', /^\0\0[\x01\x02]\0[\x01-\x40]\0[^]{3}\0[^]{10}\0\0/],
];

/** As many as the longest of these looks at. */
const BEGINNING_BYTES = 40;

/** Its media type, or nothing. */
export function imageType(bytes: Uint8Array): string | undefined {
  // Each byte as the character of its number, which the decoder called latin1 does not do.
  const start = String.fromCharCode(...bytes.subarray(0, BEGINNING_BYTES));
  return BEGINNINGS.find(([, beginning]) => beginning.test(start))?.[0];
}
