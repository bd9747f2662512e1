use serde_json::json;
use tintype_cloud::dynamodb;
use tintype_template::deployment::{StartingPosition, StreamTrigger};

use super::*;
use crate::fake;

fn mapping(id: &str) -> Trigger {
    Trigger::Stream(StreamTrigger {
        id: id.to_owned(),
        table: "posts".to_owned(),
        start: StartingPosition::Oldest,
        batch_size: 1,
        window: Duration::ZERO,
        filters: Vec::new(),
        max_retries: None,
        max_age: None,
        bisect: false,
        partial_failures: false,
        on_failure: None,
    })
}

#[test]
fn old_records_go_once_every_mapping_is_past_them() {
    let state = fake::state(&[]);
    let control = state.dir.control();
    stream::prepare(&control).unwrap();
    let path = state.dir.path("dynamodb.db");
    let database = dynamodb::open(&path, &[fake::stream_table()]).unwrap();
    for n in 0..4 {
        let request = json!({ "TableName": "posts", "Item": { "pk": { "S": n.to_string() } } });
        database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }
    let sqlite = rusqlite::Connection::open(&path).unwrap();
    sqlite.execute("UPDATE _stream_records SET created_at = created_at - 90000", []).unwrap();
    let stored = |nth: i64| -> i64 {
        sqlite
            .query_row("SELECT CAST(sequence_number AS INTEGER) FROM _stream_records ORDER BY id LIMIT 1 OFFSET ?1", [nth], |row| {
                row.get(0)
            })
            .unwrap()
    };
    let numbers: Vec<_> = (0..4).map(|n| (100_000_000_000_000_000_000_i128 + i128::from(stored(n))).to_string()).collect();
    let left = || -> i64 { sqlite.query_row("SELECT COUNT(*) FROM _stream_records", [], |row| row.get(0)).unwrap() };

    let mut function = fake::function("router");
    function.triggers = vec![mapping("fast"), mapping("slow")];
    let deployment = Deployment { tables: vec![fake::stream_table()], functions: vec![function], ..Deployment::default() };
    let streams = Streams::new(&path);
    let trim = || tables(&deployment).iter().for_each(|table| table.trim(&streams, &control));
    let position = |mapping: &str, number: &str| {
        let stored = control.with(|database| database.execute("REPLACE INTO stream_positions VALUES (?1, ?2)", [mapping, number]));
        stored.unwrap();
    };

    position("fast", &numbers[3]);
    trim();
    assert_eq!(left(), 4, "one mapping has not begun");
    position("slow", &numbers[1]);
    trim();
    assert_eq!(left(), 2, "one has done two");
    position("slow", &numbers[3]);
    trim();
    assert_eq!(left(), 1, "the newest stays");
}
