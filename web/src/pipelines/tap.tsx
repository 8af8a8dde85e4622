import { useQuery } from "@tanstack/react-query";
import { Eye, EyeOff } from "lucide-react";
import { useState } from "react";
import { api } from "../api/client";
import type { Pipeline } from "../api/types";
import { Button } from "../ui/button";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Steps } from "./steps";

/** Long enough that a stream of a row a second shows itself. */
const SECONDS = 3;
const ROWS = 10;

/** What passes each step of a running pipeline, as long as somebody looks. */
export function Tap({ pipeline }: { pipeline: Pipeline }) {
  const [isOpen, setOpen] = useState(false);
  const isRunning = pipeline.state === "running";
  const seen = useQuery({
    queryKey: ["tap", pipeline.name],
    queryFn: ({ signal }) => api.tap(pipeline.name, SECONDS, ROWS, signal),
    enabled: isOpen && isRunning,
    // One look follows the other.
    refetchInterval: 100,
  });
  return (
    <Panel
      title="Steps"
      hint={
        <Button
          icon={isOpen ? <EyeOff size={14} aria-hidden /> : <Eye size={14} aria-hidden />}
          disabled={!isRunning}
          title={isRunning ? undefined : "It does not run"}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "Stop looking" : "Look inside"}
        </Button>
      }
    >
      {!isOpen ? (
        <p className="px-4 py-5 text-[13px] text-mute">Look at the rows between the steps while they pass. The pipeline runs on as it would.</p>
      ) : seen.error ? (
        <div className="p-4">
          <ProblemNote error={seen.error} />
        </div>
      ) : seen.data ? (
        <Steps steps={seen.data.steps} seconds={seen.data.seconds} />
      ) : (
        <Loading rows={3} label={`Looking for ${SECONDS} seconds`} />
      )}
    </Panel>
  );
}
