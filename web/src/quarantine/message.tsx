import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import type { QuarantinedMessage } from "../api/types";
import { moment } from "../format/time";
import { IconButton } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Panel } from "../ui/panel";
import { QuarantineActions } from "./actions";
import { payloadText, reasonText } from "./reason";

export function MessageDetail({ message, onClose }: { message: QuarantinedMessage; onClose: () => void }) {
  const facts: [string, React.ReactNode][] = [
    ["Reason", <span key="reason" className="text-warn">{reasonText(message.reason)}</span>],
    [
      "Device",
      message.device ? (
        <Link to="/devices/$id" params={{ id: message.device }} className="hover:text-accent">
          {message.device}
        </Link>
      ) : (
        "–"
      ),
    ],
    [
      "Stream",
      message.stream ? (
        <Link to="/streams/$name" params={{ name: message.stream }} className="hover:text-accent">
          {message.stream}
        </Link>
      ) : (
        "–"
      ),
    ],
    ["Received", moment(message.received)],
    ["Topic", <span key="topic" className="break-all font-mono text-[12px]">{message.topic}</span>],
  ];
  return (
    <Panel
      title="Message"
      hint={
        <IconButton label="Close the message" className="-mr-2" onClick={onClose}>
          <X size={15} />
        </IconButton>
      }
    >
      <div className="p-4">
        <p className="break-words text-[14px]">{message.detail}</p>
        <dl className="mt-4 grid grid-cols-[88px_minmax(0,1fr)] gap-y-2 text-[13px]">
          {facts.map(([name, value]) => (
            <div key={name} className="contents">
              <dt className="text-mute">{name}</dt>
              <dd className="min-w-0 truncate">{value}</dd>
            </div>
          ))}
        </dl>
        <div className="mt-4 flex items-center text-[12px] text-mute">
          Payload{message.payload_encoding === "base64" && ", no UTF-8: shown as Base64"}
          <span className="ml-auto">
            <CopyButton text={message.payload} label="Copy payload" />
          </span>
        </div>
        <pre tabIndex={0} aria-label="Payload" className="max-h-80 overflow-auto rounded-lg border border-line bg-bg px-3.5 py-2.5 font-mono text-[12.5px] leading-relaxed">
          {payloadText(message.payload)}
        </pre>
        <div className="mt-4 flex flex-wrap gap-2">
          <QuarantineActions items={[message]} isSingle />
        </div>
      </div>
    </Panel>
  );
}
