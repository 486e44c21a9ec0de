/** The brokers of the page: those of its server, which stay, and those that the user adds and removes. */
import type { SubmitEvent } from 'react';
import { useState } from 'react';

import type { Broker } from '../config.ts';
import { placeOf } from '../config.ts';
import { PREFIX_DEFAULT } from '../devices/sources/home-assistant/config-topics.ts';
import { usePrefixes } from '../devices/sources/home-assistant/prefixes.ts';
import { useKeptBrokers, whyNotKept } from '../shell/kept-brokers.ts';
import { useGoToBroker } from '../shell/useGoToBroker.ts';
import { useStation } from '../station.ts';
import { useStations } from '../stations.ts';
import { Button } from '../ui/Button.tsx';
import { useStore } from '../ui/frame-store.ts';
import { TextField } from '../ui/TextField.tsx';
import { Section } from './Section.tsx';

const FROM: Record<Broker['from'], string> = {
  server: 'From the server of this page',
  browser: 'Kept in this browser',
  address: 'From the address of this page',
};

export function Brokers() {
  const brokers = useStore(useStations()).map(({ broker }) => broker);
  const taken = brokers.map(({ name }) => name);
  return (
    <Section
      title="Brokers"
      note="The address of the page names the broker that is shown, so that a bookmark does too."
    >
      <ul className="flex flex-col divide-y divide-line">
        {brokers.map((broker) => (
          <Known key={broker.name} broker={broker} first={brokers[0]} taken={taken} />
        ))}
      </ul>
      <Add taken={taken} />
    </Section>
  );
}

interface KnownProps {
  broker: Broker;
  first: Broker | undefined;
  taken: readonly string[];
}

function Known({ broker, first, taken }: KnownProps) {
  const isShown = useStation().broker === broker;
  const goTo = useGoToBroker();
  const { kept, add, remove } = useKeptBrokers();
  const forgetPrefix = usePrefixes((state) => state.setPrefix);
  const [problem, setProblem] = useState<string>();
  const keep = (url: string): void => {
    const host = hostOf(url);
    const others = taken.filter((name) => name !== broker.name);
    const wanted = { name: others.includes(host) ? url : host, url };
    const why = whyNotKept(wanted, others, kept.length);
    setProblem(why);
    if (why === undefined) add(wanted);
  };
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 py-3" data-testid="known-broker">
      <div className="min-w-0 grow basis-64">
        <p className="font-medium wrap-anywhere">
          {broker.name}
          {isShown && <span className="ml-2 text-xs font-normal text-ink-soft">shown</span>}
        </p>
        {placeOf(broker) !== broker.name && (
          <p className="font-mono text-xs wrap-anywhere text-ink-soft">{placeOf(broker)}</p>
        )}
        <p className="text-xs text-ink-soft">{FROM[broker.from]}</p>
      </div>
      {!isShown && (
        <Button
          label={`Show ${broker.name}`}
          onClick={() => {
            goTo(broker);
          }}
        >
          Show
        </Button>
      )}
      {broker.from === 'address' && 'url' in broker.address && (
        <Button
          label={`Keep ${broker.name}`}
          onClick={() => {
            if ('url' in broker.address) keep(broker.address.url);
          }}
        >
          Keep
        </Button>
      )}
      {broker.from === 'browser' && (
        <Button
          icon="trash"
          label={`Remove ${broker.name}`}
          onClick={() => {
            if (isShown && first !== undefined) goTo(first);
            remove(broker.name);
            forgetPrefix(broker, PREFIX_DEFAULT);
          }}
        >
          Remove
        </Button>
      )}
      {problem !== undefined && (
        <p role="alert" className="basis-full text-bad">
          {problem}
        </p>
      )}
    </li>
  );
}

function Add({ taken }: { taken: readonly string[] }) {
  const [url, setUrl] = useState('');
  const [name, setName] = useState('');
  const [problem, setProblem] = useState<string>();
  const { kept, add } = useKeptBrokers();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const address = url.trim();
    const broker = { url: address, name: name.trim() || hostOf(address) };
    const why = whyNotKept(broker, taken, kept.length);
    setProblem(why);
    if (why !== undefined) return;
    add(broker);
    setUrl('');
    setName('');
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3" aria-label="Add a broker">
      <div className="grid gap-3 sm:grid-cols-[2fr_1fr]">
        <TextField
          label="Address"
          value={url}
          onChange={(value) => {
            setUrl(value);
            setProblem(undefined);
          }}
          hint="ws://host:port/path or wss://…; others by wigwag dashboard --broker mqtt://host"
          problem={problem}
          inputMode="url"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          isMono
        />
        <TextField
          label="Name"
          value={name}
          onChange={setName}
          hint="The host, if you leave it empty"
          autoComplete="off"
          spellCheck={false}
        />
      </div>
      <Button type="submit" look="solid" className="self-start" disabled={url.trim() === ''}>
        Add this broker
      </Button>
    </form>
  );
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : '';
}
