import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CheckCheck } from "lucide-react";
import { api } from "../api/client";
import type { AlertEvent } from "../api/types";
import { Button } from "../ui/button";

/** For somebody who comes back to a long list: every event that is shown counts as seen. */
export function AcknowledgeAll({ events }: { events: readonly AlertEvent[] }) {
  const cache = useQueryClient();
  const acknowledge = useMutation({
    mutationFn: async () => {
      for (const event of events) if (event.acknowledged_at === null) await api.acknowledge(event.id);
    },
    onSettled: () => Promise.all([cache.invalidateQueries({ queryKey: ["alerts"] }), cache.invalidateQueries({ queryKey: ["overview"] })]),
  });
  return (
    <Button
      look="quiet"
      className="-mr-2 h-7! px-2! text-[12px]!"
      icon={<CheckCheck size={14} aria-hidden />}
      title={acknowledge.error?.message}
      disabled={acknowledge.isPending}
      onClick={() => acknowledge.mutate()}
    >
      Acknowledge all
    </Button>
  );
}
