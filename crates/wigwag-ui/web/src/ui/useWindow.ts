/** Which rows of a long list are in view, for lists whose rows are all of one height. */
import type { RefObject, UIEvent } from 'react';
import { useEffect, useRef, useState } from 'react';

/** Rows drawn beyond the visible ones, so that scrolling shows no gaps. */
const SPARE_ROWS = 6;
/** What is drawn before the list knows its height. */
const HEIGHT_FIRST_PX = 480;

interface Window {
  /** The element that scrolls. */
  box: RefObject<HTMLDivElement | null>;
  onScroll: (event: UIEvent<HTMLElement>) => void;
  first: number;
  /** One behind the last. */
  end: number;
}

export function useWindow(count: number, rowPx: number): Window {
  const box = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState(HEIGHT_FIRST_PX);
  const [scrollTop, setScrollTop] = useState(0);
  useEffect(() => {
    if (box.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setHeight(entry.contentRect.height);
    });
    observer.observe(box.current);
    return () => {
      observer.disconnect();
    };
  }, []);
  return {
    box,
    onScroll: (event) => {
      setScrollTop(event.currentTarget.scrollTop);
    },
    first: Math.max(0, Math.min(count, Math.floor(scrollTop / rowPx)) - SPARE_ROWS),
    end: Math.min(count, Math.ceil((scrollTop + height) / rowPx) + SPARE_ROWS),
  };
}
