//! What only a file can show: what survives, who may open it, two writers at once.

use std::future::Future;
use std::sync::Arc;

use springhouse_meta::{
    AlertFilter, Alerts, Consumers, MetaError, NewToken, PipelineKind, PipelineVersion, Pipelines, Settings,
    SqliteMeta, Tokens,
};
use springhouse_model::{Severity, TenantId, Timestamp};
use springhouse_policy::Scope;

fn new_token(name: &str) -> NewToken {
    NewToken {
        tenant: TenantId::main(),
        site: None,
        name: name.to_owned(),
        scopes: vec![Scope::Admin],
        device: None,
        expires_at: None,
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    let meta = SqliteMeta::open(&path).await.unwrap();
    let (info, text) = meta.create_token(new_token("cli")).await.unwrap();
    drop(meta);
    let meta = SqliteMeta::open(&path).await.unwrap();
    assert_eq!(meta.verify_token(text.expose()).await.unwrap(), Some(info));
}

#[tokio::test]
async fn no_secret_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    let meta = SqliteMeta::open(&path).await.unwrap();
    let (_, text) = meta.create_token(new_token("cli")).await.unwrap();
    meta.close().await;
    // 256 bits in base64url, in which an underscore may stand as well.
    let secret = &text.expose().as_bytes()[text.expose().len() - 43..];
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    let meta = SqliteMeta::open(&path).await.unwrap();
    meta.put_setting("a", "b").await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    SqliteMeta::open(&path).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options.clone()).await.unwrap();
    sqlx::query("UPDATE schema_version SET version = 99").execute(&pool).await.unwrap();
    pool.close().await;

    let refused = SqliteMeta::open(&path).await.err().unwrap();
    assert!(matches!(refused, MetaError::Newer { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains("hint:"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let (version,): (i64,) =
        sqlx::query_as("SELECT version FROM schema_version").fetch_one(&pool).await.unwrap();
    assert_eq!(version, 99);
}

/// A database as the first layout left it, with a pipeline that has been changed twice.
#[tokio::test]
async fn a_pipeline_of_the_first_layout_has_its_present_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    for sql in [
        include_str!("../../migrations/0001_first.sql"),
        "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (1)",
        r#"INSERT INTO pipelines VALUES (4, 'main', 'hourly', '{"kind":"pipeline"}', 3, 'hours', 'SELECT 3',
           '{"state":"running"}', 70)"#,
    ] {
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let meta = SqliteMeta::open(&path).await.unwrap();
    let versions = meta.pipeline_versions(&TenantId::main(), "hourly", 9).await.unwrap();
    let known = PipelineVersion {
        version: 3,
        sql: "SELECT 3".to_owned(),
        functions: Vec::new(),
        created_at: Timestamp(70),
        by: None,
    };
    assert_eq!(versions, [known]);
}

/// A database as the second layout left it, with a firing that somebody has acknowledged.
#[tokio::test]
async fn an_event_of_an_earlier_layout_is_one_of_a_rule_without_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    for sql in [
        include_str!("../../migrations/0001_first.sql"),
        include_str!("../../migrations/0002_pipeline_versions.sql"),
        "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (2)",
        r#"INSERT INTO alerts VALUES ('main', 'a1', 'hot', 'critical', 'oven', 7, '{"power":1}', 9, 'ada')"#,
        r#"INSERT INTO pipelines VALUES (4, 'main', 'hot', '{"kind":"alert","severity":"critical"}', 1, 'alerts.hot',
           'SELECT 3', '{"state":"running"}', 70)"#,
    ] {
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let meta = SqliteMeta::open(&path).await.unwrap();
    let events = meta.alerts(&TenantId::main(), &AlertFilter::default(), 9).await.unwrap();
    assert_eq!(
        (events.len(), events[0].at, events[0].acknowledged_at),
        (1, Timestamp(7), Some(Timestamp(9)))
    );
    assert_eq!((events[0].resolved_at, events[0].times, &events[0].note), (None, None, &None));
    assert!(!events[0].is_firing() && meta.alerts_firing().await.unwrap().is_empty());
    let rule = meta.pipeline(&TenantId::main(), "hot").await.unwrap().unwrap();
    assert_eq!(rule.kind, PipelineKind::Alert { severity: Severity::Critical, key: Vec::new() });
}

#[tokio::test]
async fn what_is_not_a_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    std::fs::write(&path, "this is a text file, and quite a long one so that it has a header").unwrap();
    assert!(matches!(SqliteMeta::open(&path).await, Err(MetaError::Database { .. })));
}

/// The hub and the command line are two processes; two stores on one file are the same to SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_on_one_file_wait_for_each_other() {
    const ROUNDS: u64 = 50;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    let hub = Arc::new(SqliteMeta::open(&path).await.unwrap());
    let command = Arc::new(SqliteMeta::open(&path).await.unwrap());
    let offsets = tokio::spawn({
        let hub = Arc::clone(&hub);
        async move {
            for offset in 0..ROUNDS {
                hub.set_offset("lake", offset).await.unwrap();
            }
        }
    });
    for _ in 0..ROUNDS {
        let (info, text) = command.create_token(new_token("beside")).await.unwrap();
        assert_eq!(hub.verify_token(text.expose()).await.unwrap(), Some(info));
    }
    offsets.await.unwrap();
    assert_eq!(command.offset("lake").await.unwrap(), Some(ROUNDS - 1));
    assert_eq!(hub.tokens(&TenantId::main()).await.unwrap().len(), ROUNDS as usize);
}

/// A request that is cancelled in the middle must not leave the writer's turn or a transaction behind.
#[tokio::test]
async fn a_cancelled_write_leaves_the_store_usable() {
    let folder = tempfile::tempdir().unwrap();
    let meta = SqliteMeta::open(folder.path().join("meta.db")).await.unwrap();
    for polls in 1..20 {
        let mut write = Box::pin(meta.put_setting("cancelled", "half"));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..polls {
            if write.as_mut().poll(&mut context).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(write);
        meta.put_setting("whole", &polls.to_string()).await.unwrap();
        assert_eq!(meta.setting("whole").await.unwrap(), Some(polls.to_string()));
    }
}
