-- Reference tables, and the versions of their rows that the log speaks of. Numbers of tables are drawn from those of streams:
-- in a record of the log either may stand.

CREATE TABLE reference_tables (
    id BIGINT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    statement TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE table_versions (
    table_id BIGINT NOT NULL REFERENCES reference_tables (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    -- Where the log ended when the version was begun: its record stands there or later.
    begun_offset BIGINT NOT NULL,
    -- The record that says that it holds; nothing until that is known to be written.
    log_offset BIGINT,
    row_count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (table_id, version)
);
