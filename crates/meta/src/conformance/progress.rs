//! Effects of consumers of the log: files, alerts, quarantine and last values, each with its offset.

use std::sync::Arc;

use springhouse_model::{ManualClock, Severity, TenantId};

use super::{START, key, message, new_stream, tenant, twin_row};
use crate::{
    AlertEvent, AlertFilter, LakeFile, Meta, MetaError, QuarantineFilter, QuarantinedMessage, Result, Trimmed,
};

pub(super) fn alert(tenant: &TenantId, id: &str) -> AlertEvent {
    AlertEvent {
        id: id.to_owned(),
        tenant: tenant.clone(),
        alert: "freezer_warm".to_owned(),
        severity: Severity::Critical,
        key: "d1".to_owned(),
        at: START,
        row: serde_json::json!({"device": "d1", "temperature": -3.5}),
        resolved_at: None,
        times: None,
        note: None,
        acknowledged_at: None,
        acknowledged_by: None,
    }
}

fn file(stream_id: u32, path: &str, hour: i64) -> LakeFile {
    let min_ts = START.plus_micros(hour * super::HOUR_US);
    LakeFile {
        id: 0,
        stream_id,
        path: path.to_owned(),
        rows: 10,
        bytes: 1_000,
        min_ts,
        max_ts: min_ts.plus_micros(super::HOUR_US - 1),
        min_device: Some("d1".to_owned()),
        max_device: None,
        schema_version: 1,
        first_offset: 3,
        last_offset: 7,
        level: 0,
        created_at: START,
    }
}

pub async fn offsets_never_move_back(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    assert_eq!(meta.offset("lake").await?, None);
    for offset in [0, 5, 5, 9] {
        meta.set_offset("lake", offset).await?;
    }
    let back = meta.set_offset("lake", 8).await;
    assert!(matches!(back, Err(MetaError::Stale { stored: 9, offered: 8, .. })), "{back:?}");
    assert_eq!(meta.offset("lake").await?, Some(9));
    assert_eq!(meta.offset("twin").await?, None);
    meta.forget_consumer("lake").await?;
    assert_eq!(meta.offset("lake").await?, None);
    Ok(())
}

pub async fn a_refused_commit_leaves_no_effect(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    let tenant = tenant("main");
    let stream = meta.create_stream(new_stream(key(&tenant, "meter"))).await?.id;
    meta.set_offset("late", 100).await?;
    let late = Some(("late", 99));
    assert!(meta.add_files(&[file(stream, "a", 0)], &[], late).await.is_err());
    assert!(meta.record_alerts(&[alert(&tenant, "a1")], late).await.is_err());
    assert!(meta.quarantine_put(&[message(&tenant, "m1", START)], late).await.is_err());
    assert!(meta.twin_put(&[twin_row(&tenant, "power", 1.into(), 1)], late).await.is_err());
    assert!(meta.all_files().await?.is_empty());
    assert!(meta.alerts(&tenant, &AlertFilter::default(), 9).await?.is_empty());
    assert!(meta.quarantine_counts(&tenant).await?.is_empty());
    assert!(meta.twin_load().await?.is_empty());
    Ok(())
}

pub async fn files_are_replaced_all_or_nothing(meta: Arc<dyn Meta>, _clock: Arc<ManualClock>) -> Result<()> {
    let key = key(&tenant("main"), "meter");
    let stream = meta.create_stream(new_stream(key.clone())).await?.id;
    let flushed = [file(stream, "a", 0), file(stream, "b", 5), file(stream + 1, "c", 0)];
    let added = meta.add_files(&flushed, &[], Some(("lake", 8))).await?;
    assert_eq!(added.without_stream, ["c"]);
    let ids: Vec<_> = added.added.iter().map(|file| file.id).collect();
    assert_eq!(meta.all_files().await?, added.added);
    assert_eq!(meta.offset("lake").await?, Some(8));

    let hour = |hour: i64| START.plus_micros(hour * super::HOUR_US);
    let found = meta.files(stream, hour(1), hour(5)).await?;
    assert_eq!(
        found.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        ["b"],
        "bounds are inclusive"
    );
    assert_eq!(meta.files(stream, hour(0), hour(9)).await?.len(), 2);

    let merged = [LakeFile { level: 1, ..file(stream, "d", 0) }];
    let gone = meta.add_files(&merged, &[ids[0], 999], None).await;
    assert!(matches!(gone, Err(MetaError::Conflict { .. })));
    assert_eq!(meta.all_files().await?.len(), 2, "a failed replacement removes nothing");
    let merged = meta.add_files(&merged, &ids, None).await?.added;
    assert!(merged[0].id > ids[1]);
    assert_eq!(meta.all_files().await?, merged);
    meta.drop_stream(&key).await?;
    assert!(meta.all_files().await?.is_empty());
    Ok(())
}

pub async fn alerts_are_recorded_once_and_acknowledged_once(
    meta: Arc<dyn Meta>,
    clock: Arc<ManualClock>,
) -> Result<()> {
    let tenant = tenant("main");
    let first = [alert(&tenant, "a1"), AlertEvent { at: START.plus_micros(1), ..alert(&tenant, "a2") }];
    assert_eq!(meta.record_alerts(&first, Some(("alerts", 1))).await?, ["a1", "a2"]);
    let again = [alert(&tenant, "a2"), AlertEvent { at: START.plus_micros(2), ..alert(&tenant, "a3") }];
    assert_eq!(meta.record_alerts(&again, Some(("alerts", 2))).await?, ["a3"]);

    clock.advance_micros(10);
    let acknowledged = meta.acknowledge_alert(&tenant, "a1", "ada").await?;
    clock.advance_micros(10);
    assert_eq!(meta.acknowledge_alert(&tenant, "a1", "bob").await?, acknowledged);
    assert_eq!(acknowledged.acknowledged_by.as_deref(), Some("ada"));
    assert_eq!(acknowledged.acknowledged_at, Some(START.plus_micros(10)));

    let listed = |filter: AlertFilter, limit: u32| {
        let (meta, tenant) = (Arc::clone(&meta), tenant.clone());
        async move {
            let events = meta.alerts(&tenant, &filter, limit).await?;
            Ok::<_, MetaError>(events.into_iter().map(|event| event.id).collect::<Vec<_>>())
        }
    };
    assert_eq!(listed(AlertFilter::default(), 2).await?, ["a3", "a2"]);
    let before = Some(START.plus_micros(1));
    assert_eq!(listed(AlertFilter { before, ..AlertFilter::default() }, 9).await?, ["a1"]);
    assert_eq!(listed(AlertFilter { open: true, ..AlertFilter::default() }, 9).await?, ["a3", "a2"]);
    let counts = meta.alert_counts(&tenant).await?;
    assert_eq!((counts.len(), counts[0].fired, counts[0].open), (1, 3, 2));
    assert_eq!(counts[0].last_at, START.plus_micros(2));
    Ok(())
}

/// An episode is one event, from the row that begins it to the one that ends it, however often they are recorded.
pub async fn alerts_end_once_and_stay_ended(meta: Arc<dyn Meta>, clock: Arc<ManualClock>) -> Result<()> {
    let tenant = tenant("main");
    let begun = |id: &str| AlertEvent { times: Some(1), ..alert(&tenant, id) };
    let over = |id: &str, after: i64| AlertEvent {
        times: Some(7),
        resolved_at: Some(START.plus_micros(after)),
        row: serde_json::json!({"temperature": -18.0}),
        ..alert(&tenant, id)
    };
    let one = async |id: &str| {
        let all = meta.alerts(&tenant, &AlertFilter::default(), 9).await?;
        Ok::<_, MetaError>(all.into_iter().find(|event| event.id == id))
    };
    let firing = async || {
        let filter = AlertFilter { firing: true, ..AlertFilter::default() };
        let ids = meta.alerts(&tenant, &filter, 9).await?.into_iter().map(|event| event.id);
        Ok::<_, MetaError>(ids.collect::<Vec<_>>())
    };
    meta.record_alerts(&[begun("a1"), begun("a2"), alert(&tenant, "plain")], Some(("alerts", 1))).await?;
    assert_eq!(firing().await?, ["a2", "a1"]);
    assert_eq!(meta.alerts_firing().await?, [(Severity::Critical, 2)]);
    meta.acknowledge_alert(&tenant, "a1", "ada").await?;
    assert_eq!(meta.record_alerts(&[over("a1", 60)], Some(("alerts", 2))).await?, ["a1"]);
    let ended = one("a1").await?.expect("it is there");
    assert_eq!((ended.resolved_at, ended.times), (Some(START.plus_micros(60)), Some(7)));
    assert_eq!(ended.row, alert(&tenant, "a1").row, "it keeps the row that fired");
    assert_eq!(ended.acknowledged_by.as_deref(), Some("ada"));

    // Read again from the log, nothing changes.
    assert!(meta.record_alerts(&[begun("a1"), over("a1", 60)], Some(("alerts", 2))).await?.is_empty());
    assert_eq!(one("a1").await?, Some(ended));
    // Without its beginning an end is an event all the same; one that is over at once can begin again.
    assert_eq!(meta.record_alerts(&[over("a3", 0)], None).await?, ["a3"]);
    assert_eq!(meta.record_alerts(&[begun("a3")], None).await?, ["a3"]);
    let counts = meta.alert_counts(&tenant).await?;
    assert_eq!((counts[0].fired, counts[0].open, counts[0].firing), (4, 3, 2));

    // A rule that is gone: what it has fired is over, also what is recorded later, up to there.
    clock.advance_micros(500);
    assert_eq!(meta.end_alerts(&tenant, "freezer_warm", 5, "dropped").await?, 2);
    meta.record_alerts(&[begun("a4")], Some(("alerts", 5))).await?;
    assert!(firing().await?.is_empty());
    for id in ["a2", "a3", "a4"] {
        let ended = one(id).await?.expect("it is there");
        assert_eq!(
            (ended.resolved_at, ended.note.as_deref()),
            (Some(START.plus_micros(500)), Some("dropped"))
        );
    }
    meta.record_alerts(&[begun("a5")], Some(("alerts", 6))).await?;
    assert_eq!(firing().await?, ["a5"]);
    assert_eq!(meta.end_alerts(&super::tenant("other"), "freezer_warm", 9, "dropped").await?, 0);
    // What the rows say counts more than that a rule was gone.
    meta.record_alerts(&[over("a4", 90)], Some(("alerts", 6))).await?;
    let ended = one("a4").await?.expect("it is there");
    assert_eq!((ended.resolved_at, ended.note), (Some(START.plus_micros(90)), None));
    // A commit that is refused ends nothing.
    assert!(meta.record_alerts(&[over("a5", 90)], Some(("alerts", 3))).await.is_err());
    assert_eq!(firing().await?, ["a5"]);
    Ok(())
}

pub async fn quarantine_is_listed_marked_and_purged(
    meta: Arc<dyn Meta>,
    _clock: Arc<ManualClock>,
) -> Result<()> {
    let tenant = tenant("main");
    let mut third = message(&tenant, "m3", START.plus_micros(3));
    (third.stream, third.device, third.reason) = (None, None, "unknown_stream".to_owned());
    let messages =
        [message(&tenant, "m1", START), message(&tenant, "m2", START.plus_micros(2)), third.clone()];
    meta.quarantine_put(&messages, Some(("quarantine", 1))).await?;
    meta.quarantine_put(&messages[..1], Some(("quarantine", 2))).await?;

    let all = QuarantineFilter::default();
    let listed = meta.quarantine_list(&tenant, &all, 9).await?;
    assert_eq!(listed, [third.clone(), messages[1].clone(), messages[0].clone()]);
    assert!(!format!("{listed:?}").contains("much"), "payloads stay out of logs");
    let by_reason = QuarantineFilter { reason: Some("unknown_stream".to_owned()), ..all.clone() };
    assert_eq!(meta.quarantine_list(&tenant, &by_reason, 9).await?, [third]);
    let by_stream = QuarantineFilter { stream: messages[0].stream.clone(), ..all.clone() };
    assert_eq!(meta.quarantine_list(&tenant, &by_stream, 1).await?, [messages[1].clone()]);

    let replayed = ["m1".to_owned(), "unknown".to_owned()];
    meta.quarantine_mark_replayed(&tenant, &replayed).await?;
    assert_eq!(meta.quarantine_list(&tenant, &all, 9).await?.len(), 2);
    assert_eq!(meta.quarantine_get(&tenant, &replayed).await?.len(), 1);
    let counts = meta.quarantine_counts(&tenant).await?;
    assert_eq!(counts.iter().map(|count| count.count).collect::<Vec<_>>(), [1, 1]);

    let by_id = QuarantineFilter { ids: Some(vec!["m2".to_owned()]), ..all.clone() };
    assert_eq!(meta.quarantine_purge(&tenant, &by_id).await?, 1);
    let early = QuarantineFilter { before: Some(START.plus_micros(3)), with_replayed: true, ..all };
    assert_eq!(meta.quarantine_purge(&tenant, &early).await?, 1);
    assert_eq!(meta.quarantine_counts(&tenant).await?.len(), 1);
    Ok(())
}

pub async fn a_quarantine_that_is_too_large_loses_its_oldest(
    meta: Arc<dyn Meta>,
    _clock: Arc<ManualClock>,
) -> Result<()> {
    let (tenant, other) = (tenant("main"), tenant("other"));
    let of = |tenant: &TenantId, n: i64| QuarantinedMessage {
        payload: vec![b'x'; 744],
        ..message(tenant, &format!("m{n}"), START.plus_micros(n))
    };
    let messages: Vec<_> = (0..10).map(|n| of(&tenant, n)).chain([of(&other, 0)]).collect();
    meta.quarantine_put(&messages, None).await?;
    let trimmed = meta.quarantine_trim(&tenant, 10_000).await?;
    assert_eq!(trimmed, Trimmed { deleted: 0, bytes_left: 10_000 }, "744 and 256 bytes each");
    let trimmed = meta.quarantine_trim(&tenant, 5_000).await?;
    assert_eq!(trimmed, Trimmed { deleted: 6, bytes_left: 4_000 });
    let left = meta.quarantine_list(&tenant, &QuarantineFilter::default(), 20).await?;
    let ids: Vec<_> = left.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids, ["m9", "m8", "m7", "m6"]);
    assert_eq!(meta.quarantine_list(&other, &QuarantineFilter::default(), 20).await?.len(), 1);
    Ok(())
}

pub async fn last_values_are_overwritten_and_forgotten(
    meta: Arc<dyn Meta>,
    _clock: Arc<ManualClock>,
) -> Result<()> {
    let tenant = tenant("main");
    let first = [twin_row(&tenant, "power", 1.5.into(), 4), twin_row(&tenant, "state", "on".into(), 4)];
    meta.twin_put(&first, Some(("twin", 5))).await?;
    assert_eq!(meta.twin_load().await?, first);
    let second = [twin_row(&tenant, "power", serde_json::Value::Null, 6)];
    meta.twin_put(&second, Some(("twin", 7))).await?;
    assert_eq!(meta.twin_load().await?, [second[0].clone(), first[1].clone()]);
    assert_eq!(meta.offset("twin").await?, Some(7));
    meta.twin_forget(&tenant, &first[0].stream).await?;
    assert!(meta.twin_load().await?.is_empty());
    Ok(())
}
