import { Link } from "@tanstack/react-router";
import type { AlertRule } from "../api/types";
import { count } from "../format/number";
import { ago } from "../format/time";
import { Badge, SEVERITY_TONE, stateTone } from "../ui/badge";
import { Table, type ColumnView } from "../ui/table";

const COLUMNS: ColumnView<AlertRule>[] = [
  {
    id: "name",
    title: "Rule",
    cell: (rule) => (
      <Link to="/pipelines/$name" params={{ name: rule.name }} className="font-medium hover:text-accent">
        {rule.name}
      </Link>
    ),
  },
  { id: "severity", title: "Severity", cell: (rule) => <Badge tone={SEVERITY_TONE[rule.severity]}>{rule.severity}</Badge> },
  { id: "state", title: "State", cell: (rule) => <Badge tone={stateTone(rule.state)}>{rule.state}</Badge> },
  { id: "fired", title: "Fired", align: "right", cell: (rule) => count(rule.fired) },
  { id: "firing", title: "Firing", align: "right", cell: (rule) => <span className={rule.firing > 0 ? "text-bad" : "text-mute"}>{count(rule.firing)}</span> },
  { id: "last", title: "Last", align: "right", cell: (rule) => <span className="text-mute">{ago(rule.last_at)}</span> },
  {
    id: "sql",
    title: "Statement",
    wide: true,
    className: "max-w-0 w-1/2",
    cell: (rule) => (
      <span className="block truncate font-mono text-[12px] text-mute" title={rule.sql}>
        {rule.sql.replace(/\s+/g, " ")}
      </span>
    ),
  },
];

export function AlertRules({ rules }: { rules: readonly AlertRule[] }) {
  if (rules.length === 0) return <p className="px-4 py-8 text-center text-[13px] text-mute">There is no rule.</p>;
  return <Table label="Rules" columns={COLUMNS} rows={rules} rowKey={(rule) => rule.name} />;
}
