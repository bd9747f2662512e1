//! What stands before outgoing calls, in the whole system: one table fails, and what does not need it goes on.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;

use crate::{
    harness::{Caller, Person, until},
    operator::Operator,
    process::{Host, folder},
};

/// The log lines of a function, oldest first.
fn lines(state: &Path, service: &str) -> Vec<Value> {
    let log = fs::read_to_string(state.join("functions.log")).unwrap_or_default();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(&line[line.find('{')?..]).ok());
    lines.filter(|line| line["service"] == service).collect()
}

/// The table of comments fails wholly: reading comments is refused at once after a few attempts, what needs other tables is untouched, and soon
/// after the end all is well.
#[tokio::test]
async fn a_table_that_fails_is_left_alone_and_nothing_else_is() {
    let folder = folder();
    let host = Host::start(folder.path());
    let operator = Operator::of(&host.addresses);
    let ada = Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
    let impatient = Caller::nobody_at(&host.addresses).with_token(&ada.access_token);
    let comment = format!("/comments/{}", uuid::Uuid::now_v7());
    impatient.get(&comment).await.problem(404, "not-found");

    operator.set_chaos("CommentsTable:error=1").await;
    until("the breaker opens", Duration::from_secs(20), async || {
        let answer = impatient.get(&comment).await;
        assert!(answer.status >= 500, "{}", answer.text);
        let refused = lines(&folder.path().join("state"), "comments")
            .iter()
            .any(|line| line["breaker.comments_table"] == "open" && line["breaker.refused"] == 1);
        refused.then_some(())
    })
    .await;
    // The same function's other tables answer, and so do other functions.
    impatient.get("/me").await.expect(200);
    impatient.get("/feed").await.expect(200);
    let opened: f64 = lines(&folder.path().join("state"), "comments").iter().filter_map(|line| line["breaker.opened"].as_f64()).sum();
    assert!(opened >= 1.0);
    assert!(lines(&folder.path().join("state"), "comments").iter().all(|line| line.get("breaker.users_table").is_none()));

    operator.set_chaos("").await;
    until("it closes", Duration::from_secs(10), async || (impatient.get(&comment).await.status == 404).then_some(())).await;
}
