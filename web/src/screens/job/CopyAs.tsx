import { useState } from "react";
import type { Job } from "../../api/schema";
import { Copy } from "../../parts/Shown";
import { Dialog } from "../../parts/Dialog";
import { commands } from "./copied";

export function CopyAs({ job }: { job: Job }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="plain-button" onClick={() => setOpen(true)}>
        Copy as…
      </button>
      <Dialog open={open} onClose={() => setOpen(false)} title="The same job, typed">
        {Object.entries(commands(job, location.origin)).map(([name, text]) => (
          <section key={name}>
            <Copy text={text} what={name} />
            <pre className="json mono theirs" tabIndex={0}>
              {text.slice(0, 4000)}
            </pre>
          </section>
        ))}
      </Dialog>
    </>
  );
}
