//! Which items of a batch failed, by the function's answer (`ReportBatchItemFailures`).

use std::collections::HashSet;

use serde_json::Value;

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
