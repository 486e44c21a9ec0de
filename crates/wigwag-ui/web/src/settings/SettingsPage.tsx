/** The page at /settings: what this browser keeps of the user's choices, the brokers, and who the user is to this one. */
import { useOverlay } from '../shell/overlay.ts';
import { PageHeader } from '../shell/PageHeader.tsx';
import { useSettings } from '../shell/settings.ts';
import { THEME_OPTIONS } from '../shell/theme-options.ts';
import { sessionOf } from '../session.ts';
import { useStation } from '../station.ts';
import { useVersion } from '../version.ts';
import { Button } from '../ui/Button.tsx';
import { Choice } from '../ui/Choice.tsx';
import { useNow } from '../ui/clock.ts';
import { formatTime } from '../ui/format.ts';
import { useStore } from '../ui/frame-store.ts';
import { Brokers } from './Brokers.tsx';
import { Discovery } from './Discovery.tsx';
import { Section } from './Section.tsx';

export function SettingsPage() {
  return (
    <>
      <PageHeader title="Settings" />
      <div className="flex w-full max-w-3xl flex-col gap-4">
        <Appearance />
        <Keyboard />
        <Brokers />
        <Discovery />
        <User />
        <About />
      </div>
    </>
  );
}

function Appearance() {
  const { theme, setTheme, timeStyle, setTimeStyle } = useSettings();
  const now = useNow();
  const times = [
    { value: '24', name: '24 hours' },
    { value: '12', name: '12 hours' },
    { value: 'utc', name: 'UTC' },
  ] as const;
  return (
    <Section title="Appearance" note="Kept in this browser.">
      <Choice label="Theme" value={theme} options={THEME_OPTIONS} onChange={setTheme} />
      <Choice
        label="Time format"
        value={timeStyle}
        options={times.map((time) => ({ ...time, example: formatTime(now, now, time.value) }))}
        onChange={setTimeStyle}
      />
    </Section>
  );
}

function Keyboard() {
  const { singleKeys, setSingleKeys } = useSettings();
  const show = useOverlay((overlay) => overlay.show);
  return (
    <Section title="Keyboard" note="Kept in this browser.">
      <Choice
        label="Single keys"
        value={singleKeys ? 'on' : 'off'}
        options={[
          { value: 'on', name: 'On' },
          { value: 'off', name: 'Off' },
        ]}
        onChange={(value) => {
          setSingleKeys(value === 'on');
        }}
      />
      <p className="text-ink-soft">
        Keys without Ctrl can get in the way of speech input and of other tools. Those with Ctrl always work.
      </p>
      <Button
        icon="keyboard"
        className="self-start"
        onClick={() => {
          show('keys');
        }}
      >
        Show the keys
      </Button>
    </Section>
  );
}

function User() {
  const station = useStation();
  const { userName } = useStore(station.connection);
  const session = sessionOf(station);
  const show = useOverlay((overlay) => overlay.show);
  return (
    <Section
      title="User"
      note={
        session === undefined
          ? 'Kept in memory until this page is closed or reloaded, never stored.'
          : 'Until you log out, or for a day without use. The password is kept nowhere.'
      }
    >
      <p data-testid="user">
        {userName === undefined ? (
          'To the broker you are nobody in particular.'
        ) : (
          <>
            To the broker you are <strong className="font-semibold wrap-anywhere">{userName}</strong>.
          </>
        )}
      </p>
      <div className="flex flex-wrap gap-2">
        <Button
          icon="key"
          onClick={() => {
            show('login');
          }}
        >
          {userName === undefined ? 'Log in' : 'Log in as somebody else'}
        </Button>
        {userName !== undefined && (
          <Button
            onClick={() => {
              if (session === undefined) station.login(undefined);
              else void session.logout();
            }}
          >
            Log out
          </Button>
        )}
      </div>
    </Section>
  );
}

function About() {
  const version = useVersion();
  return (
    <Section title="About">
      <p>
        Wigwag{version !== undefined && ` ${version}`}, under the MIT licence or the Apache Licence 2.0, as
        you like. This page contains{' '}
        <a href={new URL('licences.txt', document.baseURI).href} className="text-accent underline">
          the work of others
        </a>
        .
      </p>
    </Section>
  );
}
