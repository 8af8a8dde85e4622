-- Restricted dialect, so that PostgreSQL can follow: BIGINT, TEXT, BLOB and DOUBLE PRECISION; times in microseconds
-- since the epoch; variants and lists as JSON text; no BOOLEAN, no NUMERIC, no database-side defaults or clocks.

CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    next BIGINT NOT NULL
);
INSERT INTO sequences (name, next) VALUES ('stream', 1), ('pipeline', 1), ('lake_file', 1);

CREATE TABLE streams (
    id BIGINT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    origin TEXT NOT NULL,
    watermark_delay_us BIGINT NOT NULL,
    idle_us BIGINT,
    retention_us BIGINT,
    statement TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE schemas (
    stream_id BIGINT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (stream_id, version)
);

CREATE TABLE devices (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    site TEXT,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen BIGINT,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    site TEXT,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    device TEXT,
    digest BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX tokens_of_tenant ON tokens (tenant, device);

CREATE TABLE persons (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,
    person TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);

CREATE TABLE links (
    digest BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE pipelines (
    id BIGINT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    into_stream TEXT NOT NULL,
    statement TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE alerts (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    alert TEXT NOT NULL,
    severity TEXT NOT NULL,
    alert_key TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX alerts_by_time ON alerts (tenant, at);

CREATE TABLE quarantine (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    site TEXT,
    stream TEXT,
    device TEXT,
    received BIGINT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    payload BLOB NOT NULL,
    topic TEXT NOT NULL,
    replayed_at BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX quarantine_by_time ON quarantine (tenant, received);

CREATE TABLE consumers (
    name TEXT PRIMARY KEY,
    next_offset BIGINT NOT NULL
);

CREATE TABLE lake_files (
    id BIGINT PRIMARY KEY,
    stream_id BIGINT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    path TEXT NOT NULL UNIQUE,
    row_count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    min_ts BIGINT NOT NULL,
    max_ts BIGINT NOT NULL,
    min_device TEXT,
    max_device TEXT,
    schema_version BIGINT NOT NULL,
    first_offset BIGINT NOT NULL,
    last_offset BIGINT NOT NULL,
    level BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX lake_files_of_stream ON lake_files (stream_id, max_ts);

CREATE TABLE twin (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    property TEXT NOT NULL,
    value TEXT NOT NULL,
    ts BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    PRIMARY KEY (tenant, device, stream, property)
);

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
