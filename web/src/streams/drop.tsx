import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { api } from "../api/client";
import { Button } from "../ui/button";
import { Confirm } from "../ui/confirm";

export function DropStream({ name }: { name: string }) {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const [asks, setAsks] = useState(false);
  const drop = useMutation({
    mutationFn: () => api.dropStream(name),
    onSuccess: async () => {
      await navigate({ to: "/streams" });
      await cache.invalidateQueries();
    },
  });
  return (
    <>
      <Button look="danger" icon={<Trash2 size={14} aria-hidden />} onClick={() => setAsks(true)}>
        Delete
      </Button>
      <Confirm
        title={`Delete ${name}?`}
        verb="Delete it"
        open={asks}
        busy={drop.isPending}
        error={drop.error}
        onConfirm={() => drop.mutate()}
        onClose={() => setAsks(false)}
      >
        The stream and its schema are deleted, and its readings cannot be asked for any more. A device that goes on sending
        makes a stream of this name anew.
      </Confirm>
    </>
  );
}
