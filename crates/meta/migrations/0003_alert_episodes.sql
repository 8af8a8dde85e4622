-- Alerts that begin and end. Events of alerts that have no end have no count of times; those of before are such.

ALTER TABLE alerts ADD COLUMN resolved_at BIGINT;
ALTER TABLE alerts ADD COLUMN times BIGINT;
ALTER TABLE alerts ADD COLUMN note TEXT;
CREATE INDEX alerts_firing ON alerts (tenant, alert) WHERE times IS NOT NULL AND resolved_at IS NULL;

-- Where in the log a rule has forgotten what was firing: what has fired before is over, also if it is recorded later.
CREATE TABLE alert_ends (
    tenant TEXT NOT NULL,
    alert TEXT NOT NULL,
    before_offset BIGINT NOT NULL,
    at BIGINT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (tenant, alert)
);
