import { useMutation } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { ProblemNote } from "../ui/problem-note";
import { Frame } from "./frame";

const route = getRouteApi("/sign-in");

export function SignIn() {
  const { next, link } = route.useSearch();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useMutation({
    mutationFn: () => api.signIn({ name: name.trim(), password }),
    // A fresh start: nothing of an earlier person stays in memory.
    onSuccess: () => window.location.assign(next ?? "/"),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    signIn.mutate();
  };
  return (
    <Frame title="Sign in" text={link === "used" ? "This link has been used already. Sign in, or have the hub print a new one with springhouse link." : "To the hub on this machine."}>
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Name" autoComplete="username" autoFocus required value={name} onChange={(event) => setName(event.target.value)} />
        <Field label="Password" type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
        {signIn.error && <ProblemNote error={signIn.error} />}
        <Button type="submit" look="primary" disabled={signIn.isPending || name === "" || password === ""}>
          Sign in
        </Button>
      </form>
    </Frame>
  );
}
