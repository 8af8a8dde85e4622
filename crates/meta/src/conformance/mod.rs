//! What every implementation of [`Meta`] has to do, as tests that take one.
//!
//! Each case gets an empty store and the clock that the store was given, and panics with what it found. An
//! implementation's own test binary lists the cases: one test per case names itself when it fails.

mod access;
mod progress;
mod things;

use std::sync::Arc;

use springhouse_model::{ManualClock, StreamKey, TenantId, Timestamp, ValueType};
use springhouse_schema::{Field, Schema};

pub use access::{
    certificates_are_valid_until_revoked_or_over, claims_work_once_and_until_they_expire,
    links_work_once_and_until_they_expire, persons_sign_in_with_their_password_only,
    sessions_end_by_time_sign_out_and_new_password, tokens_are_verified_until_revoked_or_expired,
};
pub use progress::{
    a_quarantine_that_is_too_large_loses_its_oldest, a_refused_commit_leaves_no_effect,
    alerts_are_recorded_once_and_acknowledged_once, alerts_end_once_and_stay_ended,
    files_are_replaced_all_or_nothing, last_values_are_overwritten_and_forgotten, offsets_never_move_back,
    quarantine_is_listed_marked_and_purged,
};
pub use things::{
    components_are_kept_while_a_definition_names_them, devices_are_registered_once_and_seen_forward,
    functions_count_their_versions, ids_are_never_given_twice, pipelines_keep_their_versions,
    schemas_grow_by_one_version, settings_are_kept, streams_are_created_once,
    tables_keep_their_versions_and_their_names_are_not_those_of_streams,
};

use crate::{
    Approval, Meta, NewDevice, NewFunction, NewPipeline, NewStream, NewTable, NewToken, Origin, PipelineKind,
    PipelineState,
};
use crate::{QuarantineFilter, QuarantinedMessage, Result, TwinRow};

/// Noon of a day that the cases begin at.
pub const START: Timestamp = Timestamp(1_767_268_800_000_000);
const HOUR_US: i64 = 3_600_000_000;

fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant's name")
}

fn key(tenant: &TenantId, name: &str) -> StreamKey {
    StreamKey::new(tenant.clone(), name.parse().expect("a stream's name"))
}

fn new_stream(key: StreamKey) -> NewStream {
    NewStream {
        key,
        state: Approval::Pending,
        origin: Origin::Inferred,
        schema: Schema::new(vec![Field::new("power", ValueType::Float).with_unit("W")]),
        watermark_delay_us: 5_000_000,
        idle_us: Some(30_000_000),
        retention_us: None,
        sql: None,
    }
}

fn new_device(tenant: &TenantId, id: &str) -> NewDevice {
    NewDevice {
        tenant: tenant.clone(),
        id: id.parse().expect("a device's name"),
        site: None,
        state: Approval::Pending,
    }
}

fn new_pipeline(tenant: &TenantId, name: &str, sql: &str) -> NewPipeline {
    NewPipeline {
        tenant: tenant.clone(),
        name: name.to_owned(),
        kind: PipelineKind::Pipeline,
        into: name.parse().expect("a stream's name"),
        sql: sql.to_owned(),
        functions: Vec::new(),
        state: PipelineState::Running,
        by: None,
    }
}

fn new_table(tenant: &TenantId, name: &str) -> NewTable {
    let name = name.parse().expect("a table's name");
    NewTable { tenant: tenant.clone(), name, sql: "CREATE TABLE …".to_owned() }
}

fn new_function(tenant: &TenantId, name: &str, sql: &str) -> NewFunction {
    NewFunction { tenant: tenant.clone(), name: name.to_owned(), sql: sql.to_owned(), by: None }
}

fn message(tenant: &TenantId, id: &str, received: Timestamp) -> QuarantinedMessage {
    QuarantinedMessage {
        id: id.to_owned(),
        tenant: tenant.clone(),
        site: None,
        stream: Some("meter".parse().expect("a stream's name")),
        device: Some("d1".parse().expect("a device's name")),
        received,
        reason: "wrong_type".to_owned(),
        detail: "`power` is a text, expected a float".to_owned(),
        payload: br#"{"power":"much"}"#.to_vec(),
        topic: "devices/d1/meter".to_owned(),
        replayed_at: None,
    }
}

fn twin_row(tenant: &TenantId, property: &str, value: serde_json::Value, offset: u64) -> TwinRow {
    TwinRow {
        tenant: tenant.clone(),
        device: "d1".parse().expect("a device's name"),
        stream: "meter".parse().expect("a stream's name"),
        property: property.to_owned(),
        value,
        ts: START,
        offset,
    }
}

/// Two tenants with the same names for everything see, change and delete nothing of each other.
pub async fn tenants_do_not_meet(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    let (ours, theirs) = (tenant("ours"), tenant("theirs"));
    meta.create_stream(new_stream(key(&theirs, "meter"))).await?;
    let device = meta.register_device(new_device(&theirs, "d1")).await?.id;
    meta.create_pipeline(new_pipeline(&theirs, "hourly", "SELECT 1")).await?;
    let table = meta.create_table(new_table(&theirs, "rooms")).await?;
    meta.quarantine_put(&[message(&theirs, "m1", START)], None).await?;
    let event = progress::alert(&theirs, "a1");
    meta.record_alerts(std::slice::from_ref(&event), None).await?;
    let token = NewToken {
        tenant: theirs.clone(),
        site: None,
        name: "gateway".to_owned(),
        scopes: vec![springhouse_policy::Scope::Ingest],
        device: Some(device.clone()),
        expires_at: None,
    };
    let (token, _) = meta.create_token(token).await?;
    meta.twin_put(&[twin_row(&theirs, "power", 1.into(), 0)], None).await?;

    assert!(meta.streams(Some(&ours)).await?.is_empty());
    assert!(meta.stream(&key(&ours, "meter")).await?.is_none());
    assert!(meta.schemas(&key(&ours, "meter")).await?.is_empty());
    assert!(!meta.drop_stream(&key(&ours, "meter")).await?);
    assert!(meta.approve_stream(&key(&ours, "meter")).await.is_err());
    assert!(meta.devices(&ours).await?.is_empty());
    assert!(meta.device(&ours, &device).await?.is_none());
    assert!(meta.set_device_state(&ours, &device, Approval::Refused).await.is_err());
    assert!(meta.pipelines(Some(&ours)).await?.is_empty());
    assert!(meta.pipeline_versions(&ours, "hourly", 9).await?.is_empty());
    assert!(meta.pipeline_version(&ours, "hourly", 1).await?.is_none());
    assert!(!meta.drop_pipeline(&ours, "hourly").await?);
    assert!(meta.set_pipeline_state(&ours, "hourly", PipelineState::Paused).await.is_err());
    assert!(meta.tables(Some(&ours)).await?.is_empty());
    assert!(!meta.drop_table(&ours, "rooms").await?);
    let everything = QuarantineFilter::default();
    assert!(meta.quarantine_list(&ours, &everything, 10).await?.is_empty());
    assert!(meta.quarantine_get(&ours, &["m1".to_owned()]).await?.is_empty());
    assert!(meta.quarantine_counts(&ours).await?.is_empty());
    assert_eq!(meta.quarantine_purge(&ours, &everything).await?, 0);
    assert!(meta.alerts(&ours, &Default::default(), 10).await?.is_empty());
    assert!(meta.acknowledge_alert(&ours, "a1", "mallory").await.is_err());
    assert!(meta.tokens(&ours).await?.is_empty());
    assert!(!meta.revoke_token(&ours, &token.id).await?);
    assert_eq!(meta.revoke_device_tokens(&ours, &device, None).await?, 0);
    meta.twin_forget(&ours, &"meter".parse().expect("a stream's name")).await?;

    // The same names are free for the other tenant, and theirs are all still there.
    let stream = meta.create_stream(new_stream(key(&ours, "meter"))).await?;
    assert_ne!(Some(stream.id), meta.stream(&key(&theirs, "meter")).await?.map(|theirs| theirs.id));
    meta.quarantine_put(&[message(&ours, "m1", START)], None).await?;
    assert_eq!(meta.record_alerts(&[progress::alert(&ours, "a1")], None).await?, ["a1"]);
    assert_ne!(meta.create_table(new_table(&ours, "rooms")).await?.id, table.id);
    assert_eq!(meta.tables(Some(&theirs)).await?, [table]);
    assert_eq!(meta.streams(Some(&theirs)).await?.len(), 1);
    assert_eq!(meta.device(&theirs, &device).await?.map(|found| found.state), Some(Approval::Pending));
    assert_eq!(meta.quarantine_list(&theirs, &everything, 10).await?.len(), 1);
    assert_eq!(meta.alerts(&theirs, &Default::default(), 10).await?, [event]);
    assert_eq!(meta.tokens(&theirs).await?, [token]);
    assert_eq!(meta.twin_load().await?.len(), 1);
    Ok(())
}
