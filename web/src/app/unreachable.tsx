import { useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { ApiError } from "../api/problem";
import { Button } from "../ui/button";
import { ProblemNote } from "../ui/problem-note";

/** Stands in for a screen that could not be shown; comes back by itself when the hub does. */
export function Unreachable({ error }: { error: unknown }) {
  const router = useRouter();
  const isOffline = error instanceof ApiError && error.isOffline;
  useEffect(() => {
    if (!isOffline) return;
    const timer = setInterval(() => void router.invalidate(), 2000);
    return () => clearInterval(timer);
  }, [isOffline, router]);
  return (
    <main className="mx-auto grid min-h-dvh max-w-xl place-items-center p-6">
      <div className="w-full">
        <h1 className="mb-3 text-[17px] font-semibold">{isOffline ? "Waiting for the hub" : "This screen failed"}</h1>
        <ProblemNote error={error} action={<Button onClick={() => void router.invalidate()}>Try again</Button>} />
      </div>
    </main>
  );
}
