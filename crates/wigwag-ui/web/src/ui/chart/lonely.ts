/** Values without a neighbour: no line leads to them, so a chart has to draw a dot. */
export function lonely(values: ArrayLike<number | null | undefined>, first: number, last: number): number[] {
  const found: number[] = [];
  for (let index = first; index <= last; index++) {
    if (values[index] == null || values[index - 1] != null || values[index + 1] != null) continue;
    found.push(index);
  }
  return found;
}
