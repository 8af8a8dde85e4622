import type { DeviceDetail, Latest } from "../api/types";
import { useNow } from "../app/now";
import { cell } from "../format/number";
import { ago, moment, momentIn } from "../format/time";
import { Panel } from "../ui/panel";

export function LastValues({ device }: { device: DeviceDetail }) {
  const now = useNow(1000);
  if (device.latest.length === 0) return null;
  const isShared = ({ stream, property }: Latest): boolean =>
    device.latest.some((other) => other.property === property && other.stream !== stream);
  return (
    <Panel title="Last values" hint={ago(newest(device.latest), now)}>
      <dl>
        {device.latest.map((latest) => (
          <div key={`${latest.stream}.${latest.property}`} className="flex min-h-9 items-center gap-3 border-b border-line/50 px-4 py-1 text-[13px] last:border-0">
            <dt className="min-w-0 truncate text-mute" title={`${latest.stream}.${latest.property}`}>
              {isShared(latest) && `${latest.stream} · `}
              {latest.property}
            </dt>
            <dd className="ml-auto max-w-[60%] truncate text-right tabular-nums" title={`${String(latest.value)} at ${moment(latest.ts)}`}>
              {typeof latest.value === "boolean" ? (latest.value ? "yes" : "no") : (momentIn(latest.value) ?? cell(latest.value))}
              {latest.unit && <span className="text-mute"> {latest.unit}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function newest(latest: readonly Latest[]): string | undefined {
  return latest.map((one) => one.ts).toSorted().at(-1);
}
