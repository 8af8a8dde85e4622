import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import type { Certificate, Connect } from "../api/types";
import { queries } from "../api/queries";
import { useNow } from "../app/now";
import { moment } from "../format/time";
import { Badge } from "../ui/badge";
import { Button } from "../ui/button";
import { Confirm } from "../ui/confirm";
import { CopyBox } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { enrolLines, standing } from "./standing";

/** What a device shows over TLS instead of a token. Nothing where the hub has no listener with TLS. */
export function Certificates({ id }: { id: string }) {
  const connect = useQuery(queries.connect).data;
  const certificates = useQuery(queries.certificates(id));
  const now = useNow(60_000);
  const valid = (certificates.data ?? []).filter((certificate) => standing(certificate, now) === "valid");
  if (!connect || (connect.mqtt.tls_port === null && !certificates.data?.length)) return null;
  return (
    <Panel title="Certificates" hint={valid.length > 0 ? <Badge tone="ok">{`${String(valid.length)} valid`}</Badge> : undefined}>
      <div className="p-4 text-[13px]">
        <p className="leading-relaxed text-mute">
          With a certificate no secret leaves the device. It gets the first one with a claim code, and renews it by itself.
        </p>
        {certificates.error && (
          <div className="mt-3">
            <ProblemNote error={certificates.error} />
          </div>
        )}
        {certificates.data && certificates.data.length > 0 && <List certificates={certificates.data} now={now} />}
        <Actions id={id} connect={connect} hasValid={valid.length > 0} />
      </div>
    </Panel>
  );
}

const TONE = { valid: "ok", revoked: "bad", over: "mute" } as const;

function List({ certificates, now }: { certificates: readonly Certificate[]; now: number }) {
  return (
    <ul className="mt-3 divide-y divide-line/60 border-y border-line/60">
      {certificates.slice(0, 5).map((certificate) => (
        <li key={certificate.serial} className="flex items-center gap-2 py-1.5">
          <code className="truncate text-[12px]" title={certificate.serial}>
            {certificate.serial.slice(0, 12)}…
          </code>
          <span className="ml-auto text-[12px] whitespace-nowrap text-mute">until {moment(certificate.not_after)}</span>
          <Badge tone={TONE[standing(certificate, now)]}>{standing(certificate, now)}</Badge>
        </li>
      ))}
    </ul>
  );
}

function Actions({ id, connect, hasValid }: { id: string; connect: Connect; hasValid: boolean }) {
  const cache = useQueryClient();
  const [asks, setAsks] = useState(false);
  const claim = useMutation({ mutationFn: () => api.claimCertificate(id) });
  const revoke = useMutation({
    mutationFn: () => api.revokeCertificates(id),
    onSuccess: () => {
      setAsks(false);
      return cache.invalidateQueries({ queryKey: ["device", id] });
    },
  });
  return (
    <>
      {claim.error && (
        <div className="mt-3">
          <ProblemNote error={claim.error} />
        </div>
      )}
      <div className="mt-3 flex gap-2">
        <Button disabled={claim.isPending} onClick={() => claim.mutate()}>
          Claim code
        </Button>
        {hasValid && (
          <Button look="danger" onClick={() => setAsks(true)}>
            Revoke
          </Button>
        )}
      </div>
      <Confirm
        title="Revoke its certificates?"
        verb="Revoke them"
        open={asks}
        busy={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoke.mutate()}
        onClose={() => setAsks(false)}
      >
        {id} is disconnected and cannot come back with any of them. Its readings stay.
      </Confirm>
      <Dialog title="The claim code" open={claim.data !== undefined} onClose={() => claim.reset()}>
        <p className="mb-3 text-[13px] text-mute">Good once, and for a day. It is shown this once. On the device:</p>
        {claim.data && <CopyBox label="Enrolment" text={enrolLines(id, claim.data.claim, connect)} />}
        <div className="mt-5 flex justify-end">
          <Button look="primary" onClick={() => claim.reset()}>
            I have it
          </Button>
        </div>
      </Dialog>
    </>
  );
}
