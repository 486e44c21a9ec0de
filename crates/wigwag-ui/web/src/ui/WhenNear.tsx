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

  useEffect(() => {
    if (always || place.current === null) return;
    const observer = new IntersectionObserver(
      (entries) => {
        setNear(entries.at(-1)?.isIntersecting ?? false);
      },
      { rootMargin: MARGIN },
    );
    observer.observe(place.current);
    return () => {
      observer.disconnect();
    };
  }, [always]);

  return (
    <div ref={place} className={className}>
      {(always || near) && children}
    </div>
  );
}
