//! Both implementations keep the contract.

use std::sync::Arc;
use std::time::Duration;

use springhouse_log::conformance::{Opened, Setup, all, survives_reopening};
use springhouse_log::{DiskLog, Log, MemoryLog, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_log_conforms() {
    all(|setup: Setup| async move {
        let log = Arc::new(MemoryLog::new(setup.clock, setup.retention_bytes));
        Opened { log, retain: Box::new(|| Box::pin(async {})) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_log_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU64::new(0);
    all(|setup: Setup| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = DiskLog::open(
            dir.path().join(number.to_string()),
            Options {
                segment_bytes: 16 << 10,
                retention_bytes: setup.retention_bytes,
                retention_grace: Duration::ZERO,
                tail_bytes: setup.tail_bytes,
                clock: setup.clock,
                ..Options::default()
            },
        );
        let log = Arc::new(log.unwrap());
        let retained = Arc::clone(&log);
        let retain = move || -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            let log = Arc::clone(&retained);
            Box::pin(async move { log.apply_retention().await })
        };
        async move { Opened { log, retain: Box::new(retain) } }
    })
    .await;
}

#[tokio::test]
async fn the_disk_log_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 5 << 10, ..Options::default() };
    survives_reopening(|| {
        let log: Arc<dyn Log> = Arc::new(DiskLog::open(dir.path(), options.clone()).unwrap());
        async { log }
    })
    .await;
}
