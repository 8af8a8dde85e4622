import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { ProblemNote } from "../ui/problem-note";
import { Frame } from "./frame";
import { PASSWORD_CHARS_MIN, passwordProblem } from "./password";

const route = getRouteApi("/setup");

/** The first person of a hub, let in by the link that the hub printed. */
export function Setup() {
  const { link } = route.useSearch();
  const me = useQuery(queries.me).data;
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const setup = useMutation({
    mutationFn: () => api.setup({ link: link ?? "", name: name.trim(), password }),
    onSuccess: () => window.location.assign("/"),
  });
  if (me && !me.setup_needed) {
    return (
      <Frame title="Already set up" text="Somebody has set up this hub.">
        <Link to="/sign-in" className="text-[13px] text-accent hover:underline">
          Sign in
        </Link>
      </Frame>
    );
  }
  if (link === undefined) {
    return (
      <Frame title="Almost there" text="This hub has no person yet. It printed a link when it started; open that one. There is no default password.">
        <p className="text-[13px] text-mute">
          Lost it? <code className="text-ink">springhouse link</code> prints a new one.
        </p>
      </Frame>
    );
  }
  const problem = passwordProblem(password);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setup.mutate();
  };
  return (
    <Frame title="Welcome" text="Choose your name and a password. It stays on this machine.">
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Name" autoComplete="username" autoFocus required value={name} onChange={(event) => setName(event.target.value)} />
        <Field
          label="Password"
          type="password"
          autoComplete="new-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          hint={`at least ${PASSWORD_CHARS_MIN} characters; a sentence is good`}
          problem={problem}
        />
        {setup.error && <ProblemNote error={setup.error} />}
        <Button type="submit" look="primary" disabled={setup.isPending || name.trim() === "" || password === "" || problem !== null}>
          Set up
        </Button>
      </form>
    </Frame>
  );
}
