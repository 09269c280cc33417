import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "../api/client";
import { Dialog } from "./Dialog";
import { Trouble } from "./Trouble";

type Props = { name: string; says: string; method?: string; path: string; stale: string[]; harmless?: boolean };

/** A button that asks once more, says what follows, and shows the refusal if there is one. */
export function Act({ name, says, method = "POST", path, stale, harmless }: Props) {
  const cache = useQueryClient();
  const [asking, setAsking] = useState(false);
  const act = useMutation({
    mutationFn: () => send(method, path),
    onSuccess: () => {
      setAsking(false);
      void cache.invalidateQueries({ queryKey: stale });
    },
  });
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => setAsking(true)}>
        {name}
      </Button>
      <Dialog open={asking} onClose={() => setAsking(false)} title={name}>
        <p className="theirs">{says}</p>
        <Button color={harmless ? undefined : "red"} loading={act.isPending} onClick={() => act.mutate()}>
          {name}
        </Button>
        {act.error && <Trouble error={act.error} />}
      </Dialog>
    </>
  );
}
