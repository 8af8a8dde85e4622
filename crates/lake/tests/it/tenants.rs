//! Tables of another tenant do not exist, whatever the query.

use serde_json::json;
use springhouse_lake::{Lake, LakeError, RowsFilter, SeriesRequest};
use springhouse_meta::{Approval, NewDevice};
use springhouse_model::{TenantId, ValueType};

use crate::world::{World, ask, at, main, refusal, row};

fn other() -> TenantId {
    "other".parse().unwrap()
}

/// Both tenants have `meter`; only the other one has `vault` and the device `safe`.
async fn world() -> (World, Lake) {
    let world = World::new().await.with_meter().await;
    world.stream(&other(), "meter", &[("power", ValueType::Float)]).await;
    world.stream(&other(), "vault", &[("code", ValueType::Text)]).await;
    world.stream(&main(), "_hidden", &[("payload", ValueType::Text)]).await;
    let lake = world.lake().await;
    for (tenant, id) in [(main(), "lamp"), (other(), "safe")] {
        let device = NewDevice { tenant, id: id.parse().unwrap(), site: None, state: Approval::Approved };
        world.meta.register_device(device).await.unwrap();
    }
    for is_flushed in [true, false] {
        let second = i64::from(is_flushed);
        world.append("meter", &[row(second, "lamp", 1.0)]).await;
        world.append_as(&other(), "meter", &[row(second, "safe", 1000.0)]).await;
        let secret = json!({"ts": second, "device": "safe", "code": "4711"});
        world.append_as(&other(), "vault", &[secret]).await;
        world.append("_hidden", &[json!({"ts": second, "device": "lamp", "payload": "4711"})]).await;
        if is_flushed {
            lake.flush().await.unwrap();
        }
    }
    (world, lake)
}

#[tokio::test]
async fn a_stream_of_the_same_name_is_another_table() {
    let (_world, lake) = world().await;
    let sql = "SELECT DISTINCT device, power FROM meter";
    assert_eq!(ask(&lake, sql).await, ["lamp | 1.0"]);
    let theirs = lake.query_all(&other(), sql).await.unwrap();
    assert_eq!(crate::world::lines(&theirs.batches), ["safe | 1000.0"]);
}

#[tokio::test]
async fn devices_and_last_values_are_those_of_the_tenant() {
    let (_world, lake) = world().await;
    assert_eq!(ask(&lake, "SELECT device, state FROM devices").await, ["lamp | approved"]);
    assert_eq!(ask(&lake, "SELECT device, stream, number FROM twin").await, ["lamp | meter | 1.0"]);
    assert!(lake.twin().device(&main(), &"safe".parse().unwrap()).is_empty());
}

#[tokio::test]
async fn no_way_of_naming_it_reaches_a_table_of_another_tenant() {
    let (world, lake) = world().await;
    let object = world.store.paths().await.remove(0);
    let sources = [
        "vault",
        "other.vault",
        "public.vault",
        "datafusion.public.vault",
        "springhouse.other.vault",
        "\"vault\"",
        "\"other.vault\"",
        "(SELECT * FROM vault)",
        "(SELECT * FROM (VALUES (1)) v, vault)",
        "LATERAL (SELECT * FROM vault)",
        "meter UNION ALL SELECT * FROM vault",
        "meter JOIN vault USING (device)",
        "meter WHERE EXISTS (SELECT 1 FROM vault)",
        "meter WHERE device IN (SELECT device FROM vault)",
        "TUMBLE(vault, ts, INTERVAL '1' HOUR)",
        "TUMBLE((SELECT * FROM vault), ts, INTERVAL '1' HOUR)",
        "HOP(vault, ts, INTERVAL '1' MINUTE, INTERVAL '1' HOUR)",
        "SESSION(vault, ts, INTERVAL '1' HOUR, device)",
        "information_schema.tables",
        "information_schema.columns",
        "information_schema.df_settings",
        "_hidden",
        "lake",
        &format!("'{object}'"),
        &format!("\"{object}\""),
        &format!("'lake://files/{object}'"),
        "'/etc/passwd'",
        "\"file:///etc/passwd\"",
        "read_parquet('1/x.parquet')",
        "parquet_metadata('1/x.parquet')",
        "generate_series(1, 10)",
        "range(1, 10)",
        "TABLE(vault)",
        "UNNEST(vault)",
    ];
    for source in sources {
        for sql in [format!("SELECT * FROM {source}"), format!("EXPLAIN SELECT * FROM {source}")] {
            let error = refusal(&lake, &sql).await;
            assert!(matches!(error, LakeError::Query { .. }), "{sql}: {error:?}");
            assert!(!error.to_string().contains("4711"), "{sql}: {error}");
        }
    }
    for sql in [
        "WITH v AS (SELECT * FROM vault) SELECT * FROM v",
        "WITH meter AS (SELECT * FROM vault) SELECT * FROM meter",
        "SELECT (SELECT max(code) FROM vault)",
        "SELECT * FROM meter WHERE power > (SELECT count(*) FROM vault)",
        "TABLE vault",
        "SELECT code FROM meter",
        "SELECT vault.code FROM meter",
        "SELECT @@version",
    ] {
        assert!(matches!(refusal(&lake, sql).await, LakeError::Query { .. }), "{sql}");
    }
}

#[tokio::test]
async fn charts_and_latest_rows_are_those_of_the_tenant() {
    let (_world, lake) = world().await;
    let filter =
        RowsFilter { tenant: main(), stream: "vault".parse().unwrap(), device: None, from: None, to: None };
    let error = lake.recent(&filter, 10).await.unwrap_err();
    assert!(matches!(error, LakeError::NoSuchStream { .. }), "{error}");
    let request = SeriesRequest {
        tenant: main(),
        device: "safe".parse().unwrap(),
        stream: "meter".parse().unwrap(),
        property: "power".to_owned(),
        from: at(0),
        to: at(60),
        points: 10,
    };
    assert!(lake.series(&request).await.unwrap().ts.is_empty());
}
