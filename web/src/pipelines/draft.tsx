import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Eye, Rocket } from "lucide-react";
import { useEffect, useState } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import { Page } from "../app/page";
import { SqlEditor } from "../sql/editor";
import { Button } from "../ui/button";
import { Choice } from "../ui/choice";
import { Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { PreviewPanel } from "./preview-panel";
import { alertTemplate, asPipeline, missingHead, nameIn, pipelineTemplate } from "./templates";

const route = getRouteApi("/inside/pipelines/new");
const MINUTES = ["5", "10", "30", "60"] as const;
type Minutes = (typeof MINUTES)[number];
const PREVIEW_ROWS = 200;

/** A new pipeline or alert rule: written, tried on the last minutes, then created. */
export function PipelineDraft() {
  const { q, kind } = route.useSearch();
  const navigate = useNavigate();
  const cache = useQueryClient();
  const streams = useQuery(queries.streams).data;
  const [text, setText] = useState(q === undefined ? "" : asPipeline(q));
  const [minutes, setMinutes] = useState<Minutes>("10");
  const isAlert = kind === "alert" || /^\s*create\s+(or\s+replace\s+)?alert/i.test(text);
  useEffect(() => {
    if (text === "" && streams) setText(kind === "alert" ? alertTemplate(streams) : pipelineTemplate(streams));
    // eslint-disable-next-line react-hooks/exhaustive-deps -- fills the empty editor once the streams are known
  }, [streams === undefined]);
  const preview = useMutation({
    mutationFn: () => api.preview({ sql: text, minutes: Number(minutes), limit: PREVIEW_ROWS, steps: true }),
  });
  const create = useMutation({
    mutationFn: () => api.createPipeline(text),
    onSuccess: async () => {
      await cache.invalidateQueries();
      const name = nameIn(text);
      if (isAlert) await navigate({ to: "/alerts", search: { tab: "rules" } });
      else await navigate(name ? { to: "/pipelines/$name", params: { name } } : { to: "/pipelines" });
    },
  });
  const isEmpty = text.trim() === "";
  const missing = missingHead(text, isAlert);
  return (
    <Page
      title={isAlert ? "New alert rule" : "New pipeline"}
      sub="Nothing runs until you create it"
      actions={
        <>
          <Button icon={<Eye size={14} aria-hidden />} disabled={isEmpty || preview.isPending} onClick={() => preview.mutate()}>
            Preview
          </Button>
          <Button
            look="primary"
            icon={<Rocket size={14} aria-hidden />}
            disabled={isEmpty || create.isPending || missing !== null || preview.data === undefined}
            title={missing ?? (preview.data === undefined ? "Look at the preview first" : undefined)}
            onClick={() => create.mutate()}
          >
            Create
          </Button>
        </>
      }
    >
      <div className="grid gap-4">
        {create.error && <ProblemNote error={create.error} />}
        <Panel
          title="SQL"
          hint={
            <>
              <span className="max-sm:hidden">Ctrl + Enter previews</span>
              <Choice<Minutes>
                label="Preview over"
                className="h-7! text-[12px]!"
                value={minutes}
                options={MINUTES.map((value) => ({ value, label: `last ${value} min` }))}
                onChange={setMinutes}
              />
            </>
          }
        >
          <SqlEditor
            label={isAlert ? "Alert statement" : "Pipeline statement"}
            value={text}
            onChange={(next) => {
              setText(next);
              // A preview speaks for the statement that it was made of.
              if (next !== text) preview.reset();
            }}
            onRun={() => preview.mutate()}
            streams={streams ?? []}
            minHeight={170}
          />
          {missing !== null && (
            <p role="status" className="border-t border-line/70 px-4 py-2 text-[13px] text-warn">
              {missing} to create it; the preview works without.
            </p>
          )}
        </Panel>
        <PreviewPanel preview={preview} minutes={Number(minutes)} isAlert={isAlert} />
      </div>
    </Page>
  );
}
