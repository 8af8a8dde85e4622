import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Check, X } from "lucide-react";
import { api } from "../api/client";
import { Button } from "../ui/button";

/** The answer to a device that sent for the first time. */
export function ApprovalButtons({ id }: { id: string }) {
  const cache = useQueryClient();
  const answer = useMutation({
    mutationFn: (yes: boolean) => (yes ? api.approveDevice(id) : api.refuseDevice(id)),
    onSettled: () => Promise.all([cache.invalidateQueries({ queryKey: ["devices"] }), cache.invalidateQueries({ queryKey: ["device", id] })]),
  });
  return (
    <span className="flex items-center gap-1.5">
      <Button
        className="h-7! border-ok/50! px-2! text-ok"
        icon={<Check size={14} aria-hidden />}
        disabled={answer.isPending}
        aria-label={`Approve ${id}`}
        onClick={() => answer.mutate(true)}
      >
        Approve
      </Button>
      <Button
        className="h-7! px-2!"
        icon={<X size={14} aria-hidden />}
        disabled={answer.isPending}
        aria-label={`Refuse ${id}`}
        onClick={() => answer.mutate(false)}
      >
        Refuse
      </Button>
      {answer.error && (
        <span role="alert" className="text-[12px] text-bad">
          {answer.error.message}
        </span>
      )}
    </span>
  );
}
