-- Every version of a pipeline's statement. What a pipeline was before this layout is not known; its present version is.

CREATE TABLE pipeline_versions (
    pipeline_id BIGINT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    statement TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    PRIMARY KEY (pipeline_id, version)
);

INSERT INTO pipeline_versions (pipeline_id, version, statement, created_at, created_by)
SELECT id, version, statement, created_at, NULL FROM pipelines;
