/** What would be sent: a line for each device, with topic and payload, or why it gets nothing. */
import { formatCount } from '../../ui/format.ts';
import { Rows } from './Rows.tsx';
import type { Plan } from './plan.ts';

export function PlanView({ plan }: { plan: Plan }) {
  const { steps, unable } = plan;
  return (
    <div className="flex flex-col gap-3" data-testid="plan">
      <p className="nums font-medium" role="status">
        {formatCount(steps.length)} {steps.length === 1 ? 'message' : 'messages'}
        {unable.length > 0 && `, ${formatCount(unable.length)} get none`}
      </p>
      {steps.length > 0 && (
        <Rows
          label="Messages"
          count={steps.length}
          row={(index) => {
            const step = steps[index];
            return step === undefined ? undefined : [step.title, step.topic, step.payload];
          }}
        />
      )}
      {unable.length > 0 && (
        <Rows
          label="Devices that get none"
          count={unable.length}
          row={(index) => {
            const one = unable[index];
            return one === undefined ? undefined : [one.title, one.why];
          }}
        />
      )}
    </div>
  );
}
