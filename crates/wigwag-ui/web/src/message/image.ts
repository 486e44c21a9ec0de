/** Which pictures a browser can draw, told by how their bytes begin. What a sender says of it is not believed. */
const BEGINNINGS: readonly [type: string, beginning: RegExp][] = [
  // eslint-disable-next-line no-control-regex -- the signature of PNG has them
  ['image/png', /^\x89PNG\r\n\x1a\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8[79]a/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
  ['image/avif', /^[^]{4}ftypavi[fs]/],
  ['image/bmp', /^BM[^]{12}\(/],
];

/** Its media type, or nothing. */
export function imageType(bytes: Uint8Array): string | undefined {
  // Each byte as the character of its number, which the decoder called latin1 does not do.
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  return BEGINNINGS.find(([, beginning]) => beginning.test(start))?.[0];
}
