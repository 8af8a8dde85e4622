import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { useState, type ReactNode } from "react";
import { Button } from "./button";
import { Confirm } from "./confirm";

/** Deletes the thing that a screen shows, once it was confirmed, and leads back to the list that it was in. */
export function Delete({
  name,
  list,
  drop,
  children,
}: {
  name: string;
  list: "/pipelines" | "/streams";
  drop: (name: string) => Promise<unknown>;
  children: ReactNode;
}) {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const [asks, setAsks] = useState(false);
  const dropping = useMutation({
    mutationFn: () => drop(name),
    onSuccess: async () => {
      await navigate({ to: list });
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
        busy={dropping.isPending}
        error={dropping.error}
        onConfirm={() => dropping.mutate()}
        onClose={() => setAsks(false)}
      >
        {children}
      </Confirm>
    </>
  );
}
