//! Streams, tables, devices, pipelines and settings.

use std::sync::Arc;

use springhouse_model::{ManualClock, ValueType};
use springhouse_schema::{Field, Schema};

use super::{START, key, new_device, new_function, new_pipeline, new_stream, new_table, tenant};
use crate::{
    Approval, FunctionDefinition, Meta, MetaError, NewComponent, NewDevice, NewFunction, NewPipeline, Origin,
    PipelineState, Result, Seen, TableVersion,
};

pub async fn streams_are_created_once(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    let key = key(&tenant("main"), "meter");
    let created = meta.create_stream(new_stream(key.clone())).await?;
    assert_eq!((created.id, created.state, created.schema.version), (1, Approval::Pending, 1));
    assert_eq!(created.created_at, START);

    let mut other = new_stream(key.clone());
    other.origin = Origin::Declared;
    let again = meta.create_stream(other).await?;
    assert_eq!((again.id, again.origin), (created.id, Origin::Inferred));

    assert_eq!(meta.approve_stream(&key).await?.state, Approval::Approved);
    meta.set_stream_timing(&key, 7, None).await?;
    meta.set_stream_retention(&key, Some(9)).await?;
    let found = meta.stream(&key).await?.expect("the stream");
    assert_eq!((found.watermark_delay_us, found.idle_us, found.retention_us), (7, None, Some(9)));
    assert_eq!(found.schema, created.schema);
    assert_eq!(meta.streams(None).await?.len(), 1);
    Ok(())
}

pub async fn schemas_grow_by_one_version(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    let key = key(&tenant("main"), "meter");
    let first = meta.create_stream(new_stream(key.clone())).await?.schema;
    let mut second = Schema { version: 2, ..first.clone() };
    second.fields.push(Field::new("state", ValueType::Text));
    assert_eq!(meta.put_schema(&key, &second).await?.schema, second);
    assert_eq!(meta.put_schema(&key, &second).await?.schema, second, "repeating is fine");

    let rival = Schema { version: 2, ..first.clone() };
    for refused in [&rival, &first, &Schema { version: 4, ..second.clone() }] {
        assert!(matches!(meta.put_schema(&key, refused).await, Err(MetaError::Conflict { .. })));
    }
    assert_eq!(meta.schemas(&key).await?, [first, second.clone()]);
    assert_eq!(meta.stream(&key).await?.expect("the stream").schema, second);
    Ok(())
}

pub async fn ids_are_never_given_twice(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    let tenant = tenant("main");
    let first = meta.create_stream(new_stream(key(&tenant, "meter"))).await?.id;
    assert!(meta.drop_stream(&key(&tenant, "meter")).await?);
    let second = meta.create_stream(new_stream(key(&tenant, "meter"))).await?.id;
    assert!(second > first);
    assert_eq!(meta.highest_stream().await?, second);

    let first = meta.create_pipeline(new_pipeline(&tenant, "hourly", "SELECT 1")).await?.id;
    assert!(meta.drop_pipeline(&tenant, "hourly").await?);
    assert!(meta.create_pipeline(new_pipeline(&tenant, "hourly", "SELECT 1")).await?.id > first);
    Ok(())
}

pub async fn devices_are_registered_once_and_seen_forward(
    meta: Arc<dyn Meta>,
    _clock: Arc<ManualClock>,
) -> Result<()> {
    let tenant = tenant("main");
    let device = meta.register_device(new_device(&tenant, "d1")).await?;
    assert_eq!((device.state, device.last_seen), (Approval::Pending, None));
    meta.set_device_state(&tenant, &device.id, Approval::Approved).await?;

    let home = Some("home-1".parse().expect("a site's name"));
    let again = meta.register_device(NewDevice { site: home.clone(), ..new_device(&tenant, "d1") }).await?;
    assert_eq!(
        (again.state, &again.site),
        (Approval::Approved, &home),
        "state stays, a missing site is filled in"
    );
    let elsewhere = Some("home-2".parse().expect("a site's name"));
    let again =
        meta.register_device(NewDevice { site: elsewhere.clone(), ..new_device(&tenant, "d1") }).await?;
    assert_eq!(again.site, home);
    assert_eq!(meta.set_device_site(&tenant, &device.id, elsewhere.as_ref()).await?.site, elsewhere);

    let seen = |id: &str, micros: i64| Seen {
        tenant: tenant.clone(),
        device: id.parse().expect("a device's name"),
        at: START.plus_micros(micros),
    };
    meta.touch_devices(&[seen("d1", 10), seen("d1", 5), seen("stranger", 1)]).await?;
    let devices = meta.devices(&tenant).await?;
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].last_seen, Some(START.plus_micros(10)));
    Ok(())
}

pub async fn pipelines_keep_their_versions(meta: Arc<dyn Meta>, clock: Arc<ManualClock>) -> Result<()> {
    let tenant = tenant("main");
    let created = meta.create_pipeline(new_pipeline(&tenant, "hourly", "SELECT 1")).await?;
    let taken = meta.create_pipeline(new_pipeline(&tenant, "hourly", "SELECT 2")).await;
    assert!(matches!(taken, Err(MetaError::Conflict { .. })));

    clock.advance_micros(5);
    let by_ada = |sql| NewPipeline { by: Some("ada".to_owned()), ..new_pipeline(&tenant, "hourly", sql) };
    let changed = meta.put_pipeline(by_ada("SELECT 2")).await?;
    assert_eq!((changed.id, changed.version, changed.sql.as_str()), (created.id, 2, "SELECT 2"));
    let again = meta.put_pipeline(new_pipeline(&tenant, "hourly", "SELECT 1")).await?;
    assert_eq!((again.id, again.version), (created.id, 3), "an old statement is another version");

    let versions = meta.pipeline_versions(&tenant, "hourly", 9).await?;
    let shown: Vec<_> = versions.iter().map(|version| (version.version, version.sql.as_str())).collect();
    assert_eq!(shown, [(3, "SELECT 1"), (2, "SELECT 2"), (1, "SELECT 1")]);
    assert_eq!((versions[1].by.as_deref(), versions[2].by.as_deref()), (Some("ada"), None));
    assert_eq!((versions[1].created_at, versions[2].created_at), (START.plus_micros(5), START));
    assert_eq!(meta.pipeline_versions(&tenant, "hourly", 2).await?, versions[..2]);
    assert_eq!(meta.pipeline_version(&tenant, "hourly", 2).await?.as_ref(), Some(&versions[1]));
    assert_eq!(meta.pipeline_version(&tenant, "hourly", 4).await?, None);

    let goes_by =
        [FunctionDefinition { name: "f".to_owned(), version: 2, sql: "CREATE FUNCTION f …".to_owned() }];
    let calls = NewPipeline { functions: goes_by.to_vec(), ..new_pipeline(&tenant, "hourly", "SELECT f(1)") };
    assert_eq!(meta.put_pipeline(calls).await?.functions, goes_by);
    assert_eq!(meta.pipeline(&tenant, "hourly").await?.expect("the pipeline").functions, goes_by);
    let kept = meta.pipeline_version(&tenant, "hourly", 4).await?.expect("its version");
    assert_eq!(kept.functions, goes_by);
    let before = meta.pipeline_version(&tenant, "hourly", 3).await?.expect("the version before");
    assert!(before.functions.is_empty());

    meta.create_pipeline(new_pipeline(&tenant, "short", "SELECT 1")).await?;
    assert_eq!(meta.pipeline_versions(&tenant, "short", 9).await?.len(), 1);
    assert!(meta.drop_pipeline(&tenant, "short").await?);
    assert!(meta.pipeline_versions(&tenant, "short", 9).await?.is_empty());

    let failed = PipelineState::Failed { reason: "column `x` does not exist".to_owned() };
    meta.set_pipeline_state(&tenant, "hourly", failed.clone()).await?;
    assert_eq!(meta.pipeline(&tenant, "hourly").await?.expect("the pipeline").state, failed);
    let unknown = meta.set_pipeline_state(&tenant, "daily", PipelineState::Paused).await;
    assert!(matches!(unknown, Err(MetaError::NotFound { .. })));
    assert_eq!(meta.pipelines(None).await?.len(), 1);
    Ok(())
}

pub async fn settings_are_kept(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    assert_eq!(meta.setting("hub_id").await?, None);
    meta.put_setting("hub_id", "a").await?;
    meta.put_setting("hub_id", "b").await?;
    assert_eq!(meta.setting("hub_id").await?.as_deref(), Some("b"));
    Ok(())
}

pub async fn tables_keep_their_versions_and_their_names_are_not_those_of_streams(
    meta: Arc<dyn Meta>,
    clock: Arc<ManualClock>,
) -> Result<()> {
    let tenant = tenant("main");
    let new = |name: &str| new_table(&tenant, name);
    let stream = meta.create_stream(new_stream(key(&tenant, "meter"))).await?;
    let rooms = meta.create_table(new("rooms")).await?;
    assert!(rooms.id > stream.id, "one sequence numbers both");
    for name in ["rooms", "meter"] {
        assert!(matches!(meta.create_table(new(name)).await, Err(MetaError::Conflict { .. })), "{name}");
    }
    let taken = meta.create_stream(new_stream(key(&tenant, "rooms"))).await;
    assert!(matches!(taken, Err(MetaError::Conflict { kind: "table", .. })));
    assert_eq!(meta.tables(Some(&tenant)).await?, std::slice::from_ref(&rooms));

    let first = meta.begin_table_version(rooms.id, 5, 10, 100).await?;
    assert_eq!((first.version, first.begun, first.offset, first.created_at), (1, 5, None, START));
    meta.finish_table_version(rooms.id, 1, 7).await?;
    clock.advance_micros(3);
    let second = meta.begin_table_version(rooms.id, 9, 11, 110).await?;
    let expected = TableVersion { offset: Some(7), ..first };
    assert_eq!(meta.table_versions(rooms.id).await?, [expected, second.clone()]);
    assert_eq!(
        (second.version, second.rows, second.bytes, second.created_at),
        (2, 11, 110, START.plus_micros(3))
    );
    assert!(matches!(meta.finish_table_version(rooms.id, 3, 9).await, Err(MetaError::NotFound { .. })));
    meta.forget_table_versions(rooms.id, 2).await?;
    assert_eq!(meta.table_versions(rooms.id).await?, [second]);
    assert_eq!(meta.begin_table_version(rooms.id, 9, 1, 1).await?.version, 3, "numbers go on");

    assert!(meta.drop_table(&tenant, "rooms").await?);
    assert!(!meta.drop_table(&tenant, "rooms").await?);
    assert!(meta.table_versions(rooms.id).await?.is_empty());
    assert!(meta.create_stream(new_stream(key(&tenant, "rooms"))).await?.id > rooms.id);
    Ok(())
}

pub async fn functions_count_their_versions(meta: Arc<dyn Meta>, clock: Arc<ManualClock>) -> Result<()> {
    let (main, other) = (tenant("main"), tenant("other"));
    let first = meta.put_function(new_function(&main, "f", "RETURN 1")).await?;
    assert_eq!((first.version, first.created_at, first.changed_at, &first.by), (1, START, START, &None));
    clock.advance_micros(5);
    let by_ada = NewFunction { by: Some("ada".to_owned()), ..new_function(&main, "f", "RETURN 2") };
    let second = meta.put_function(by_ada).await?;
    assert_eq!((second.version, second.sql.as_str(), second.by.as_deref()), (2, "RETURN 2", Some("ada")));
    assert_eq!((second.created_at, second.changed_at), (START, START.plus_micros(5)));

    let of_other = meta.put_function(new_function(&other, "f", "RETURN 3")).await?;
    assert_eq!(of_other.version, 1);
    let early = meta.put_function(new_function(&main, "early", "RETURN 4")).await?;
    assert_eq!(meta.functions(Some(&main)).await?, [early, second.clone()], "by name");
    assert_eq!(meta.functions(None).await?.len(), 3);

    assert!(meta.drop_function(&main, "f").await?);
    assert!(!meta.drop_function(&main, "f").await?);
    assert_eq!(meta.functions(Some(&other)).await?, [of_other]);
    Ok(())
}

pub async fn components_are_kept_while_a_definition_names_them(
    meta: Arc<dyn Meta>,
    _: Arc<ManualClock>,
) -> Result<()> {
    let (main, other) = (tenant("main"), tenant("other"));
    let (first, second) = ("a1".repeat(32), "b2".repeat(32));
    let named = |name: &str, sha256: &str| {
        new_function(&main, name, &format!("LANGUAGE wasm AS '{sha256}', '{name}'"))
    };
    let bring =
        |sha256: &str| NewComponent { tenant: main.clone(), sha256: sha256.to_owned(), bytes: sha256.into() };
    let entries = meta.put_component(bring(&first), vec![named("f", &first), named("g", &first)]).await?;
    assert_eq!(
        entries.iter().map(|entry| (entry.name.as_str(), entry.version)).collect::<Vec<_>>(),
        [("f", 1), ("g", 1)]
    );
    assert_eq!(meta.component(&main, &first).await?, Some(first.clone().into_bytes()));
    assert_eq!(meta.component(&main, &second).await?, None);
    assert_eq!(meta.component(&other, &first).await?, None, "of one tenant");

    // A pipeline keeps what `f` was, and so does its version when it goes by what `f` becomes.
    let definition =
        |sha256: &str| FunctionDefinition { name: "f".to_owned(), version: 1, sql: named("f", sha256).sql };
    let calls = |sha256: &str| NewPipeline {
        functions: vec![definition(sha256)],
        ..new_pipeline(&main, "p", "SELECT f(x)")
    };
    meta.create_pipeline(calls(&first)).await?;
    meta.put_component(bring(&second), vec![named("f", &second), named("g", &second)]).await?;
    assert!(meta.component(&main, &first).await?.is_some());
    meta.put_pipeline(calls(&second)).await?;
    assert!(meta.component(&main, &first).await?.is_some(), "the version before can come back");
    meta.drop_pipeline(&main, "p").await?;
    assert!(meta.component(&main, &first).await?.is_none());

    meta.drop_function(&main, "g").await?;
    assert!(meta.component(&main, &second).await?.is_some());
    meta.put_function(new_function(&main, "f", "RETURN 1")).await?;
    assert!(meta.component(&main, &second).await?.is_none());
    Ok(())
}
