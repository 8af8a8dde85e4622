import { Filter } from "lucide-react";
import { useState } from "react";
import { Button } from "../ui/button";
import { INPUT } from "../ui/field";
import { cx } from "../ui/cx";

interface Props {
  device?: string;
  filter?: string;
  hint: string;
  onApply: (next: { device?: string; filter?: string }) => void;
}
/** Which rows: of one device, and for which a SQL condition is true. The hub evaluates both. */
export function FilterForm({ device, filter, hint, onApply }: Props) {
  const [deviceText, setDevice] = useState(device ?? "");
  const [filterText, setFilter] = useState(filter ?? "");
  const isChanged = deviceText !== (device ?? "") || filterText !== (filter ?? "");
  return (
    <form
      className="flex min-w-0 flex-1 flex-wrap gap-2 max-sm:order-last max-sm:basis-full"
      onSubmit={(event) => {
        event.preventDefault();
        onApply({ device: deviceText.trim() || undefined, filter: filterText.trim() || undefined });
      }}
    >
      <input aria-label="Device" placeholder="Any device" value={deviceText} onChange={(event) => setDevice(event.target.value)} className={cx(INPUT, "w-full! sm:w-44!")} />
      <div className="relative min-w-0 flex-1 basis-60">
        <Filter size={14} className="pointer-events-none absolute left-2.5 top-2.25 text-mute" aria-hidden />
        <input
          aria-label="SQL condition"
          placeholder={`SQL condition, like ${hint}`}
          value={filterText}
          onChange={(event) => setFilter(event.target.value)}
          className={cx(INPUT, "pl-8 font-mono text-[12.5px]!")}
          spellCheck={false}
        />
      </div>
      <Button type="submit" disabled={!isChanged}>
        Apply
      </Button>
    </form>
  );
}
