import { Copy } from "./Shown";

/** What is told this once, and kept nowhere. */
export function Secret({ secret, says }: { secret: string; says: string }) {
  return (
    <section role="status" className="card">
      <p>
        {says} <b>It is shown this once.</b>
      </p>
      <p className="row">
        <code className="mono theirs" data-testid="secret" tabIndex={0}>
          {secret}
        </code>
        <Copy text={secret} what="it" />
      </p>
    </section>
  );
}
