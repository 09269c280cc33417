import { Tabs } from "@mantine/core";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Commands } from "./Commands";
import { Standing } from "./Standing";
import { Then } from "./Then";

const route = getRouteApi("/streams");

/** The log, how far everybody has read it, how things were, and what is decided again. */
export function Streams() {
  const search = route.useSearch() as Record<string, string>;
  const navigate = useNavigate();
  const show = (next: Record<string, string | undefined>) =>
    void navigate({ to: "/streams", search: Object.fromEntries(Object.entries({ ...search, ...next }).filter((pair): pair is [string, string] => !!pair[1])) });
  return (
    <>
      <h1>Streams and replay</h1>
      <Tabs value={search.tab ?? "now"} onChange={(tab) => show({ tab: tab ?? undefined })} keepMounted={false}>
        <Tabs.List aria-label="About the log">
          <Tabs.Tab value="now">Now</Tabs.Tab>
          <Tabs.Tab value="then">State of then</Tabs.Tab>
          <Tabs.Tab value="replay">Replay and proofs</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="now">
          <Standing />
        </Tabs.Panel>
        <Tabs.Panel value="then">
          <Then search={search} show={show} />
        </Tabs.Panel>
        <Tabs.Panel value="replay">
          <Commands search={search} show={show} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}
