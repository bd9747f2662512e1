//! `--demo`: people, photographs and what others make of them, and whose feed to look at.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::until,
    process::{Host, folder},
};

/// A dozen photographs of several megapixels, painted and processed.
const DONE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn the_demo_says_whose_feed_to_look_at_and_made_again_changes_nothing() {
    let folder = folder();
    let host = Host::start_with(folder.path(), "0", &["--demo"]);
    let feed = feed_that_is_named(folder.path()).await;
    let posts = feed["items"].as_array().expect("items");
    assert!(posts.len() > 1, "{feed}");
    assert!(posts.iter().all(|post| post["status"] == "published"), "{feed}");
    assert!(posts.iter().all(|post| post["counts"] == json!({"likes": 5, "comments": 1})), "{feed}");
    host.interrupt();

    fs::remove_file(folder.path().join("state.log")).expect("the first host's log");
    let _host = Host::start_with(folder.path(), "0", &["--demo"]);
    assert_eq!(feed_that_is_named(folder.path()).await, feed);
}

/// Pastes the lines that the demo ends with.
async fn feed_that_is_named(folder: &Path) -> Value {
    let lines = until("the demo is made", DONE, async || {
        let printed = fs::read_to_string(folder.join("state.log")).expect("the host's log");
        let (_, lines) = printed.split_once("Look at ")?.1.split_once('\n')?;
        lines.contains("/feed").then(|| lines.to_owned())
    })
    .await;
    let output = Command::new("sh").args(["-euc", &lines]).output().expect("a shell");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
