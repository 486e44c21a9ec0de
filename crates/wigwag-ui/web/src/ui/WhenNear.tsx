/**
 * Draws its content only while it is on the screen or close to it, and keeps its place in the meantime. For long pages
 * whose parts change all the time; short ones draw everything, so that the browser's search finds everything.
 */
import type { ReactNode } from 'react';
import { useEffect, useRef, useState } from 'react';

const MARGIN = '400px';

interface Props {
  always: boolean;
  className: string;
  children: ReactNode;
}

export function WhenNear({ always, className, children }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(false);

  useEffect(() => (always || place.current === null ? undefined : watch(place.current, setNear)), [always]);

  return (
    <div ref={place} className={className}>
      {(always || near) && children}
    </div>
  );
}

/** Of all places there are: hundreds of observers would be made at once. */
const watched = new Map<Element, (isNear: boolean) => void>();
let observer: IntersectionObserver | undefined;

function watch(place: Element, tell: (isNear: boolean) => void): () => void {
  observer ??= new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) watched.get(target)?.(isIntersecting);
    },
    { rootMargin: MARGIN },
  );
  watched.set(place, tell);
  observer.observe(place);
  return () => {
    observer?.unobserve(place);
    watched.delete(place);
  };
}
