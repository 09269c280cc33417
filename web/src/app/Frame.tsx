import { Button, useMantineColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useState } from "react";
import { queries } from "../api/queries";
import { LiveMark } from "../live/LiveMark";
import { useInstance, useShownInstance } from "./instance";
import { Keys } from "./Keys";
import { signOut } from "./session";
import { choose, useChoices } from "./store";

export const PLACES = [
  { to: "/overview", name: "Overview", key: "o" },
  { to: "/jobs", name: "Jobs", key: "j" },
  { to: "/new", name: "New job", key: "n" },
  { to: "/modules", name: "Modules", key: "m" },
  { to: "/workers", name: "Workers", key: "w" },
  { to: "/quotas", name: "Quotas", key: "q" },
  { to: "/schedules", name: "Schedules", key: "s" },
  { to: "/webhooks", name: "Webhooks", key: "h" },
  { to: "/live", name: "Live events", key: "l" },
  { to: "/streams", name: "Streams", key: "r" },
  { to: "/keys", name: "API keys", key: "k" },
  { to: "/audit", name: "Audit", key: "a", admin: true },
] as const;

/** Screens that show something to whoever asks. */
export const placesOf = (admin: boolean) => PLACES.filter((place) => admin || !("admin" in place));

const THEMES = { light: "dark", dark: "auto", auto: "light" } as const;

export function Frame() {
  const { instance, zone } = useChoices();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const me = useQuery(queries.me());
  const places = placesOf(me.data?.is_admin ?? false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const shown = useInstance();
  const { name, byServer } = shown;
  const [help, setHelp] = useState(false);

  useShownInstance(shown, PLACES.find(({ to }) => path.startsWith(to))?.name ?? "");

  function rename() {
    const given = prompt("What this Nox is called in this browser (nothing: its address)", instance);
    if (given !== null) choose({ instance: given.slice(0, 60) });
  }

  return (
    <div className="frame">
      <a className="skip" href="#main">
        To the content
      </a>
      <header className="head">
        {byServer ? (
          <span className="instance theirs">{name}</span>
        ) : (
          <button type="button" className="plain-button instance theirs" title="Name this instance" onClick={rename}>
            {name}
          </button>
        )}
        <LiveMark />
        <span className="grow" />
        <Button variant="subtle" size="compact-sm" color="gray" onClick={() => choose({ zone: zone === "utc" ? "local" : "utc" })}>
          Times: {zone === "utc" ? "UTC" : "local"}
        </Button>
        <Button variant="subtle" size="compact-sm" color="gray" onClick={() => setColorScheme(THEMES[colorScheme])}>
          Theme: {colorScheme}
        </Button>
        <Button variant="subtle" size="compact-sm" color="gray" onClick={() => setHelp(true)} aria-keyshortcuts="?">
          Keys
        </Button>
        <span className="theirs" data-testid="me">
          {me.data ? `${me.data.user_id} (${me.data.role}, ${me.data.tenant})` : "…"}
        </span>
        <Button variant="default" size="compact-sm" onClick={signOut}>
          Sign out
        </Button>
      </header>
      <nav className="nav" aria-label="Screens">
        {places.map(({ to, name: label }) => (
          <Link key={to} to={to} search={{}}>
            {label}
          </Link>
        ))}
        <span className="grow" />
        <a href="/docs" target="_blank" rel="noreferrer">
          API
        </a>
        <a href="/ui/licences.txt" target="_blank" rel="noreferrer">
          Licences
        </a>
      </nav>
      <main className="main" id="main" tabIndex={-1}>
        <Outlet />
      </main>
      <Keys places={places} help={help} setHelp={setHelp} />
    </div>
  );
}
