-- Functions that people write. A version of a pipeline keeps the definitions of those that it calls, as JSON; what was
-- before this layout calls none.

CREATE TABLE functions (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    statement TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT,
    PRIMARY KEY (tenant, name)
);

ALTER TABLE pipelines ADD COLUMN functions TEXT;
ALTER TABLE pipeline_versions ADD COLUMN functions TEXT;
