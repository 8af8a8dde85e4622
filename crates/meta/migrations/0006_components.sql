-- What functions that are not SQL are made of, once for all definitions that name it by its SHA-256: those of functions, and those
-- that versions of pipelines keep.

CREATE TABLE components (
    tenant TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (tenant, sha256)
);
