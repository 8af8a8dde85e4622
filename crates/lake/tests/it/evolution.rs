//! Rows of all versions of a schema are rows of one table.

use serde_json::json;
use springhouse_model::ValueType;

use crate::world::{World, ask, main};

const ALL: &str = "SELECT power, volts FROM meter ORDER BY ts";

#[tokio::test]
async fn older_rows_lack_later_columns_and_whole_numbers_become_fractions() {
    let world = World::new().await;
    world.stream(&main(), "meter", &[("power", ValueType::Int)]).await;
    let lake = world.lake().await;
    world.append("meter", &[json!({"ts": 0, "device": "a", "power": 1})]).await;
    lake.flush().await.unwrap();
    world.append("meter", &[json!({"ts": 1, "device": "a", "power": 2})]).await;
    assert_eq!(ask(&lake, "SELECT power FROM meter ORDER BY ts").await, ["1", "2"]);

    world.widen("meter", 2, &[("power", ValueType::Float), ("volts", ValueType::Int)]).await;
    world.append("meter", &[json!({"ts": 2, "device": "a", "power": 2.5, "volts": 230})]).await;
    let expected = ["1.0 | ", "2.0 | ", "2.5 | 230"];
    assert_eq!(ask(&lake, ALL).await, expected);
    assert_eq!(ask(&lake, "SELECT sum(power), count(volts) FROM meter").await, ["5.5 | 1"]);
    assert_eq!(ask(&lake, "SELECT power FROM meter WHERE volts IS NULL AND power > 1.5").await, ["2.0"]);
    assert_eq!(ask(&lake, "SELECT power FROM meter WHERE volts = 230").await, ["2.5"]);

    // One flush holds records of both versions, one merge files of both.
    lake.flush().await.unwrap();
    assert_eq!(ask(&lake, ALL).await, expected);
    lake.compact().await.unwrap();
    assert_eq!(lake.stats().files, 1);
    assert_eq!(ask(&lake, ALL).await, expected);
}

#[tokio::test]
async fn a_column_that_later_rows_require_may_be_missing_in_older_ones() {
    let world = World::new().await;
    world.stream(&main(), "door", &[("open", ValueType::Bool)]).await;
    let lake = world.lake().await;
    world.append("door", &[json!({"ts": 0, "device": "a", "open": true})]).await;
    let mut next = world.meta.stream(&crate::world::key("door")).await.unwrap().unwrap().schema;
    next.version = 2;
    next.fields.push(springhouse_schema::Field::new("by", ValueType::Text).required());
    world.meta.put_schema(&crate::world::key("door"), &next).await.unwrap();
    world.catalog.refresh(world.meta.as_ref()).await.unwrap();
    world.append("door", &[json!({"ts": 1, "device": "a", "open": false, "by": "Eva"})]).await;
    let expected = ["true | ", "false | Eva"];
    assert_eq!(ask(&lake, "SELECT open, by FROM door ORDER BY ts").await, expected);
    lake.flush().await.unwrap();
    assert_eq!(ask(&lake, "SELECT open, by FROM door ORDER BY ts").await, expected);
}
