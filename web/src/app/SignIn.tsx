import { Button, Textarea } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { useInstance, useShownInstance } from "./instance";
import { signIn, useSession } from "./session";

export function SignIn() {
  const { because } = useSession();
  const instance = useInstance();
  useShownInstance(instance, "Sign in");
  const [token, setToken] = useState("");
  function submit(event: FormEvent) {
    event.preventDefault();
    if (token.trim() !== "") signIn(token);
  }
  return (
    <main className="signin">
      <h1>Nox at <span className="theirs">{instance.name}</span></h1>
      {because !== "" && (
        <p role="alert" className="problem">
          Signed out: {because}
        </p>
      )}
      <form onSubmit={submit}>
        <Textarea
          label="Token"
          description="A JWT or an API key. It is kept for this tab, and sent to this server alone."
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          rows={5}
          classNames={{ input: "mono" }}
          data-autofocus
          autoFocus
        />
        <p>
          <Button type="submit" disabled={token.trim() === ""}>
            Sign in
          </Button>
        </p>
      </form>
      <p className="dim">
        <code>noxctl token</code> makes one for a development system; a link that ends with <code>#token=…</code> signs in
        by itself.
      </p>
    </main>
  );
}
