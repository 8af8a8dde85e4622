import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowRight } from "lucide-react";
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import { Page } from "../app/page";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { deviceNameProblem, streamNameProblem } from "./name";
import { PasteStep } from "./paste-step";

/** From a name to a moving chart: the device is registered, its token shown once, and the page waits for its message. */
export function ConnectScreen() {
  const cache = useQueryClient();
  const known = useQuery(queries.devices).data ?? [];
  const [device, setDevice] = useState("");
  const [stream, setStream] = useState("climate");
  const create = useMutation({
    mutationFn: () => api.createDevice({ id: device.trim() }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["devices"] }),
  });
  const isTaken = known.some((one) => one.id === device.trim()) && !create.data;
  const problem = deviceNameProblem(device) ?? (isTaken ? "a device has this name already; its page gives it a new token" : null);
  const streamProblem = streamNameProblem(stream);
  const isReady = device.trim() !== "" && stream !== "" && problem === null && streamProblem === null;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (isReady) create.mutate();
  };
  return (
    <Page title="Connect a device" sub={create.data ? `${device.trim()} → ${stream}` : "Anything that speaks MQTT or HTTP"}>
      <div className="mx-auto grid max-w-3xl gap-4">
        {create.data ? (
          <PasteStep
            wish={{ device: device.trim(), stream, token: create.data.token }}
            onAnother={() => {
              create.reset();
              setDevice("");
            }}
          />
        ) : (
          <Panel title="Name it" hint="step 1 of 2">
            <form onSubmit={submit} className="p-5">
              <p className="mb-4 text-[13px] leading-relaxed text-mute">
                The name is part of its address, and what charts and queries call it. What it sends goes into a stream, a table
                with a column for each property.
              </p>
              <div className="grid gap-4 sm:grid-cols-2">
                <Field
                  label="Device"
                  placeholder="greenhouse-1"
                  autoFocus
                  autoComplete="off"
                  value={device}
                  onChange={(event) => setDevice(event.target.value)}
                  problem={problem}
                />
                <Field
                  label="Stream"
                  autoComplete="off"
                  value={stream}
                  onChange={(event) => setStream(event.target.value)}
                  problem={streamProblem}
                  hint="devices of a kind share one"
                />
              </div>
              {create.error && (
                <div className="mt-4">
                  <ProblemNote error={create.error} />
                </div>
              )}
              <div className="mt-5 flex justify-end">
                <Button type="submit" look="primary" disabled={!isReady || create.isPending}>
                  Get the line to paste
                  <ArrowRight size={14} aria-hidden />
                </Button>
              </div>
            </form>
          </Panel>
        )}
      </div>
    </Page>
  );
}
