//! How large a batch may be, what the function gets of it, and which of its items failed, by the function's
//! answer (`ReportBatchItemFailures`).

use std::{collections::HashSet, ops::Range};

use serde_json::Value;

/// Most bytes of an event.
pub(super) const MOST_BYTES: usize = 6 * 1024 * 1024;

/// What the event has around its records, and between them, at most.
const FRAME: usize = 16;

/// Cuts items of these sizes into batches that are no longer and no larger than a function is given. An item that is too
/// large by itself is a batch of its own.
pub(super) fn cut(sizes: impl IntoIterator<Item = usize>, most_items: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, size) in sizes.into_iter().enumerate() {
        match batches.last_mut() {
            Some(last) if last.len() < most_items && bytes + size < MOST_BYTES => {
                last.end += 1;
                bytes += size + 1;
            }
            _ => {
                batches.push(index..index + 1);
                bytes = FRAME + size;
            }
        }
    }
    batches
}

/// The event with these records, which are JSON already.
pub(super) fn event<'a>(records: impl IntoIterator<Item = &'a str>) -> String {
    let records: Vec<_> = records.into_iter().collect();
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

/// The identifiers of the items that failed; `None` if the answer is not one that Lambda accepts,
/// which fails the whole batch.
pub(super) fn failed_items(answer: &[u8], in_batch: &[&str]) -> Option<HashSet<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let failures = match &answer {
        Value::Null => return Some(HashSet::new()),
        Value::Object(fields) => fields.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return None,
    };
    let failures = match failures {
        Value::Null => return Some(HashSet::new()),
        Value::Array(failures) => failures,
        _ => return None,
    };
    failures
        .iter()
        .map(|failure| {
            let id = failure.get("itemIdentifier")?.as_str()?;
            in_batch.contains(&id).then(|| id.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(answer: &str) -> Option<HashSet<String>> {
        failed_items(answer.as_bytes(), &["a", "b"])
    }

    #[test]
    fn batches_are_as_large_as_they_may_be() {
        let large = MOST_BYTES / 2 - 100;
        assert_eq!(cut([1, 1, 1, 1, 1], 2), [0..2, 2..4, 4..5]);
        assert_eq!(cut([large, large, 1, large], 100), [0..3, 3..4]);
        assert_eq!(cut([MOST_BYTES, 1, 1], 100), [0..1, 1..3]);
        assert_eq!(cut([], 2), []);
    }

    #[test]
    fn an_event_of_a_full_batch_is_no_larger_than_a_function_is_given() {
        let record = format!("\"{}\"", "x".repeat(1022));
        let batches = cut(std::iter::repeat_n(record.len(), 10_000), 10_000);
        let event = event(batches[0].clone().map(|_| record.as_str()));
        assert!(batches.len() == 2 && event.len() <= MOST_BYTES && event.len() + record.len() > MOST_BYTES, "{} bytes", event.len());
        assert!(serde_json::from_str::<Value>(&event).is_ok());
    }

    #[test]
    fn an_answer_without_failures_is_success() {
        for answer in ["null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(failed(answer), Some(HashSet::new()), "{answer}");
        }
    }

    #[test]
    fn named_items_failed_and_the_others_did_not() {
        let answer = r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
        assert_eq!(failed(answer), Some(HashSet::from(["b".to_owned()])));
    }

    #[test]
    fn an_answer_that_names_nothing_of_the_batch_fails_all_of_it() {
        for answer in [
            "",
            "no json",
            "[]",
            r#""text""#,
            r#"{"batchItemFailures":"a"}"#,
            r#"{"batchItemFailures":["a"]}"#,
            r#"{"batchItemFailures":[{}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#,
            r#"{"batchItemFailures":[{"ItemIdentifier":"a"}]}"#,
        ] {
            assert_eq!(failed(answer), None, "{answer}");
        }
    }
}
