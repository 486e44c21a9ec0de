/** A way to have devices to look at, for pages that have nothing to show: simulated ones, on the broker of this page. */
import { useStation } from '../station.ts';
import { CopyLine } from '../ui/CopyLine.tsx';
import { useStore } from '../ui/frame-store.ts';
import { demoLine } from './demo-fleet.ts';

export function DemoFleet() {
  const { url, userName } = useStore(useStation().connection);
  return (
    <div className="flex w-full max-w-3xl flex-col gap-2">
      <p className="text-ink-soft">
        Nothing at hand? This lets twenty simulated devices speak to this broker until you end it:
      </p>
      <CopyLine text={demoLine(url, userName)} label="Copy the command for simulated devices" />
    </div>
  );
}
