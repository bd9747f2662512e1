use proptest::prelude::*;

use super::super::{blob::Content, index::Attributes};
use super::*;

fn notification(events: &[&str], prefix: &str, suffix: &str) -> Notification {
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    Notification { function: "photo-processor".to_owned(), events, prefix: prefix.to_owned(), suffix: suffix.to_owned() }
}

#[test]
fn keys_are_filtered_by_prefix_by_suffix_and_by_both() {
    for (prefix, suffix, key, expected) in [
        ("", "", "anything", true),
        ("uploads/", "", "uploads/a.jpg", true),
        ("uploads/", "", "public/uploads/a.jpg", false),
        ("uploads/", "", "Uploads/a.jpg", false),
        ("", ".jpg", "uploads/a.jpg", true),
        ("", ".jpg", "uploads/a.jpg.txt", false),
        ("", ".jpg", "uploads/a.JPG", false),
        ("uploads/", ".jpg", "uploads/a.jpg", true),
        ("uploads/", ".jpg", "uploads/a.png", false),
        ("uploads/", ".jpg", "public/a.jpg", false),
        ("My photos/", "é.jpg", "My photos/café.jpg", true),
        ("*", "", "uploads/a.jpg", false),
    ] {
        let notification = notification(&["s3:ObjectCreated:*"], prefix, suffix);
        assert_eq!(matches(&notification, Happening::Put, key), expected, "{prefix} {suffix} {key}");
    }
}

#[test]
fn a_notification_is_of_the_events_that_it_names() {
    let of = |events: &[&str], happening| matches(&notification(events, "", ""), happening, "a");
    assert!(of(&["s3:ObjectCreated:*"], Happening::Copy) && of(&["s3:*"], Happening::CompleteMultipartUpload));
    assert!(of(&["s3:ObjectCreated:Put"], Happening::Put) && !of(&["s3:ObjectCreated:Put"], Happening::Copy));
    assert!(of(&["s3:ObjectCreated:Put", "s3:ObjectCreated:Copy"], Happening::Copy));
}

/// Names and what is below them; lists by their first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => shape(&items[0]),
        _ => Value::Null,
    }
}

/// tests/targets/sam-events compares the sample event with AWS'.
#[test]
fn the_sample_event_is_what_we_send() {
    let content = Content { blob: String::new(), size: 1, etag: "e".to_owned(), checksums: BTreeMap::new() };
    let entry = Entry { key: "uploads/a".to_owned(), content, attributes: Attributes::default(), modified: 0 };
    let event = event(Happening::Put, "uploads", &entry, "us-east-1");
    let sample: Value = serde_json::from_str(include_str!("../../../../events/photo-processor/object-created.json")).unwrap();
    assert_eq!(shape(&event), shape(&sample));
}

/// As AWS' own: what a form does to a value, slashes apart.
#[test]
fn keys_are_encoded_as_s3_encodes_them_in_events() {
    for (key, encoded) in [
        ("uploads/a-b_c.d*e.jpg", "uploads/a-b_c.d*e.jpg"),
        ("Happy Face.jpg", "Happy+Face.jpg"),
        ("a+b.jpg", "a%2Bb.jpg"),
        ("100%.jpg", "100%25.jpg"),
        ("a%20b.jpg", "a%2520b.jpg"),
        ("café/日本.jpg", "caf%C3%A9/%E6%97%A5%E6%9C%AC.jpg"),
        ("📷.jpg", "%F0%9F%93%B7.jpg"),
        ("a&b=c?d#e:f;g,h@i!j$k'l(m)n~o\"p", "a%26b%3Dc%3Fd%23e%3Af%3Bg%2Ch%40i%21j%24k%27l%28m%29n%7Eo%22p"),
        ("tab\there", "tab%09here"),
    ] {
        assert_eq!(encode_key(key), encoded);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// As functions decode them.
    #[test]
    fn a_key_that_is_decoded_is_the_key(key in "\\PC{0,40}") {
        let encoded = encode_key(&key);
        prop_assert!(encoded.is_ascii() && !encoded.contains(' '));
        let decoded = percent_encoding::percent_decode_str(&encoded.replace('+', " ")).decode_utf8().unwrap().into_owned();
        prop_assert_eq!(decoded, key);
    }
}
