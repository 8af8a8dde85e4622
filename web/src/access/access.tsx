import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import type { Token } from "../api/types";
import { Page } from "../app/page";
import { ago, moment } from "../format/time";
import { Badge } from "../ui/badge";
import { Button } from "../ui/button";
import { Confirm } from "../ui/confirm";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Table, type ColumnView } from "../ui/table";
import { NewToken } from "./new-token";

/** Who else may speak with the hub: tokens of programs and devices. */
export function Access() {
  const tokens = useQuery(queries.tokens);
  const [isMaking, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const cache = useQueryClient();
  const revoke = useMutation({
    mutationFn: (id: string) => api.revokeToken(id),
    onSuccess: async () => {
      setRevoking(null);
      await cache.invalidateQueries({ queryKey: ["tokens"] });
    },
  });
  const make = (
    <Button look="primary" icon={<Plus size={15} aria-hidden />} onClick={() => setMaking(true)}>
      New token
    </Button>
  );
  return (
    <Page title="Access" sub="Tokens for programs and devices; the hub keeps only their fingerprints" actions={make}>
      <Panel title="Tokens">
        {tokens.error && !tokens.data ? (
          <div className="p-4">
            <ProblemNote error={tokens.error} />
          </div>
        ) : !tokens.data ? (
          <Loading />
        ) : tokens.data.length === 0 ? (
          <Empty icon={<KeyRound size={20} />} title="No token yet" action={make}>
            A program signs in with a token of its own, which may do as little as it needs: read, send, or change. A device gets
            its token when you connect it.
          </Empty>
        ) : (
          <Table label="Tokens" columns={columns(setRevoking)} rows={tokens.data} rowKey={(token) => token.id} />
        )}
      </Panel>
      <NewToken open={isMaking} onClose={() => setMaking(false)} />
      <Confirm
        title={`Revoke ${revoking?.name ?? "it"}?`}
        verb="Revoke it"
        open={revoking !== null}
        busy={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoking && revoke.mutate(revoking.id)}
        onClose={() => {
          setRevoking(null);
          revoke.reset();
        }}
      >
        Whoever uses it is disconnected at once. It cannot be brought back.
      </Confirm>
    </Page>
  );
}

function columns(onRevoke: (token: Token) => void): ColumnView<Token>[] {
  return [
    {
      id: "name",
      title: "Name",
      cell: (token) => (
        <>
          <span className="font-medium">{token.name}</span>
          <span className="ml-2 font-mono text-[12px] text-mute max-md:ml-0 max-md:block max-md:max-w-28 max-md:truncate">
            {token.site && <span className="font-sans md:hidden">{token.site} · </span>}
            {token.id}
          </span>
        </>
      ),
    },
    {
      id: "may",
      title: "May",
      cell: (token) => (
        <span className="flex gap-1.5">
          {token.device ? (
            <Badge tone="mute">send as {token.device}</Badge>
          ) : (
            token.scopes.map((scope) => (
              <Badge key={scope} tone={scope === "admin" ? "warn" : "mute"}>
                {scope}
              </Badge>
            ))
          )}
        </span>
      ),
    },
    { id: "site", title: "Site", wide: true, cell: (token) => <span className="text-mute">{token.site ?? "–"}</span> },
    { id: "made", title: "Made", wide: true, cell: (token) => <span className="text-mute">{ago(token.created_at)}</span> },
    {
      id: "ends",
      title: "Ends",
      wide: true,
      cell: (token) => <span className="text-mute">{token.expires_at ? moment(token.expires_at) : "never"}</span>,
    },
    {
      id: "revoke",
      title: "",
      align: "right",
      cell: (token) => (
        <Button look="danger" className="h-7! px-2!" aria-label={`Revoke ${token.name}`} onClick={() => onRevoke(token)}>
          Revoke
        </Button>
      ),
    },
  ];
}
