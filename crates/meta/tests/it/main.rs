//! The SQLite store: the conformance suite on a file and in memory, and what only a file can show.

mod sqlite_file;

use std::sync::Arc;

use springhouse_meta::{Meta, SqliteMeta, conformance};
use springhouse_model::ManualClock;

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $case() {
                let clock = Arc::new(super::ManualClock::at(super::conformance::START));
                let meta = super::SqliteMeta::in_memory_with(clock.clone()).await.unwrap();
                super::conformance::$case(Arc::new(meta), clock).await.unwrap();
            })*
            use super::Arc;
        }
        mod in_a_file {
            $(#[tokio::test]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                let clock = Arc::new(super::ManualClock::at(super::conformance::START));
                let path = folder.path().join("meta.db");
                let meta: Arc<dyn super::Meta> =
                    Arc::new(super::SqliteMeta::open_with(path, clock.clone()).await.unwrap());
                super::conformance::$case(meta, clock).await.unwrap();
            })*
            use super::Arc;
        }
    };
}

conformance! {
    tenants_do_not_meet,
    streams_are_created_once,
    schemas_grow_by_one_version,
    ids_are_never_given_twice,
    devices_are_registered_once_and_seen_forward,
    pipelines_keep_their_versions,
    tables_keep_their_versions_and_their_names_are_not_those_of_streams,
    functions_count_their_versions,
    components_are_kept_while_a_definition_names_them,
    settings_are_kept,
    tokens_are_verified_until_revoked_or_expired,
    certificates_are_valid_until_revoked_or_over,
    claims_work_once_and_until_they_expire,
    persons_sign_in_with_their_password_only,
    sessions_end_by_time_sign_out_and_new_password,
    links_work_once_and_until_they_expire,
    offsets_never_move_back,
    a_refused_commit_leaves_no_effect,
    files_are_replaced_all_or_nothing,
    alerts_are_recorded_once_and_acknowledged_once,
    alerts_end_once_and_stay_ended,
    quarantine_is_listed_marked_and_purged,
    a_quarantine_that_is_too_large_loses_its_oldest,
    last_values_are_overwritten_and_forgotten,
}
