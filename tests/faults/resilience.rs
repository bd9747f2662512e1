//! What stands before outgoing calls, in the whole system: one table fails, and what does not need it goes on.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::Value;

use crate::{
    harness::{Caller, Person, client::Answer, photographs::publish, until},
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
    publish(&ada, "news").await;
    let impatient = Caller::nobody_at(&host.addresses).with_token(&ada.access_token);
    let has_its_post = |feed: &Answer| feed.status == 200 && feed["items"].as_array().is_some_and(|items| items.len() == 1);
    until("her feed has her post", Duration::from_secs(40), async || has_its_post(&impatient.get("/feed").await).then_some(())).await;
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
    // The same function's other tables answer: that there is no such post is known of those.
    impatient.get(&format!("/posts/{}/comments", uuid::Uuid::now_v7())).await.problem(404, "not-found");
    // Others go on, and say what they can't know.
    let feed = impatient.get("/feed").await;
    assert!(has_its_post(&feed), "{}", feed.text);
    let degraded = feed.header("tintype-degraded").unwrap_or_default();
    assert!(degraded.contains("comments") || degraded.contains("viewer"), "{degraded:?}");
    let lines = lines(&folder.path().join("state"), "comments");
    let breakers = lines.iter().flat_map(|line| line.as_object().expect("an object").keys()).filter(|field| field.ends_with("_table"));
    let breakers: BTreeSet<&String> = breakers.filter(|field| field.starts_with("breaker.")).collect();
    assert_eq!(breakers.into_iter().collect::<Vec<_>>(), ["breaker.comments_table"], "no other table is left alone");

    operator.set_chaos("").await;
    until("it closes", Duration::from_secs(10), async || (impatient.get(&comment).await.status == 404).then_some(())).await;
}
