import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Bell, Plus } from "lucide-react";
import { queries } from "../api/queries";
import { Page } from "../app/page";
import { count, plural } from "../format/number";
import { LinkButton } from "../ui/button";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Tabs } from "../ui/tabs";
import { AcknowledgeAll } from "./acknowledge-all";
import { AlertEvents } from "./events";
import { AlertRules } from "./rules";
import { firingFirst } from "./standing";

const route = getRouteApi("/inside/alerts");

export function AlertsScreen() {
  const alerts = useQuery(queries.alerts);
  const firing = useQuery(queries.firing).data?.events ?? [];
  const events = firingFirst(firing, alerts.data?.events ?? []);
  const { tab } = route.useSearch();
  const navigate = route.useNavigate();
  const open = events.filter((event) => event.acknowledged_at === null).length;
  const sub = [firing.length > 0 && `${count(firing.length)} firing`, open > 0 ? `${plural(open, "alert")} nobody has looked at` : "All seen"];
  const newRule = (
    <LinkButton to="/pipelines/new" search={{ kind: "alert" }} look="primary" icon={<Plus size={15} aria-hidden />}>
      New rule
    </LinkButton>
  );
  return (
    <Page title="Alerts" sub={sub.filter(Boolean).join(" · ")} actions={newRule}>
      <Panel title="Alerts" hint={alerts.data && (open > 1 ? <AcknowledgeAll events={events} /> : plural(alerts.data.rules.length, "rule"))}>
        {alerts.error && !alerts.data ? (
          <div className="p-4">
            <ProblemNote error={alerts.error} />
          </div>
        ) : !alerts.data ? (
          <Loading />
        ) : alerts.data.rules.length === 0 && alerts.data.events.length === 0 ? (
          <Empty icon={<Bell size={20} />} title="No rule yet" action={newRule}>
            A rule is a SELECT: every row that it gives is an alert. Preview it on the last minutes to see how often it would have
            fired.
          </Empty>
        ) : (
          <Tabs
            label="Alerts"
            value={tab ?? "events"}
            onChange={(next) => void navigate({ search: (before) => ({ ...before, tab: next }), replace: true })}
            tabs={[
              { id: "events", label: "Events", content: <AlertEvents events={events} /> },
              { id: "rules", label: "Rules", content: <AlertRules rules={alerts.data.rules} /> },
            ]}
          />
        )}
      </Panel>
    </Page>
  );
}
