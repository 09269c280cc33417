import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { send } from "../api/client";
import { Dialog } from "./Dialog";
import { given, Reason } from "./Reason";
import { Trouble } from "./Trouble";

type Props = {
  name: string;
  says: ReactNode;
  method?: string;
  path: string;
  body?: unknown;
  stale: string[];
  /** Nothing is lost by it, and nobody need say why. */
  harmless?: boolean;
  /** What is shown of the answer; without it, the dialog closes. */
  then?: (answer: unknown) => ReactNode;
  /** The address itself asks for the reason. */
  reasonInQuery?: boolean;
  /** Where to go behind it. */
  done?: () => void;
};

/** A button that asks once more, says what follows, asks why, and shows the refusal if there is one. */
export function Act({ name, says, method = "POST", path, body, stale, harmless, then, reasonInQuery, done }: Props) {
  const cache = useQueryClient();
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState("");
  const act = useMutation({
    mutationFn: () => send<unknown>(method, path, { reason, ...(reasonInQuery && { query: { reason } }), ...(body !== undefined && { body }) }),
    onSuccess: () => {
      if (!then) close();
      done?.();
      void cache.invalidateQueries({ queryKey: stale });
    },
  });
  function close() {
    setAsking(false);
    setReason("");
    act.reset();
  }
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => setAsking(true)}>
        {name}
      </Button>
      <Dialog open={asking} onClose={close} title={name}>
        {then && act.isSuccess ? (
          then(act.data)
        ) : (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              act.mutate();
            }}
          >
            <div className="theirs">{says}</div>
            <Reason reason={reason} set={setReason} required={!harmless} />
            <Button type="submit" color={harmless ? undefined : "red"} loading={act.isPending} disabled={!given(reason, !harmless)}>
              {name}
            </Button>
          </form>
        )}
        {act.error && <Trouble error={act.error} />}
      </Dialog>
    </>
  );
}
