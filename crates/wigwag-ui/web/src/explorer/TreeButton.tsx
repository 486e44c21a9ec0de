/** Leads from filters to the tree that the broker keeps, for who has chosen to subscribe or is asked what to. */
import { Button } from '../ui/Button.tsx';
import type { Explorer } from './explorer.ts';

export function TreeButton({ explorer }: { explorer: Explorer }) {
  return (
    <Button
      look="ghost"
      onClick={() => {
        explorer.showTree();
      }}
    >
      The broker’s tree
    </Button>
  );
}
