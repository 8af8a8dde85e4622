-- Certificates of devices that the hub's authority has signed, and the one-time codes by which a device gets its first one.

CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked_at INTEGER
);
CREATE INDEX certificates_of_device ON certificates (tenant, device);
CREATE INDEX certificates_revoked ON certificates (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE claims (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    digest BLOB NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX claims_of_device ON claims (tenant, device);
