//! Who leaves while workers die: the job ends all the same, and nothing is left.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Caller, Person, client::Answer, inside::Inside, people::PASSWORD, photographs::publish, until},
    operator::Operator,
    process::{Host, folder},
};

/// Who works on a deletion, killed in every third invocation; and queues and streams that say everything twice.
const FAULTS: &str = "users-worker:kill=0.3;posts-worker:kill=0.3;feed-fanout:kill=0.3;comments-worker:kill=0.3;event-router:kill=0.2;janitor:kill=0.2;\
    sqs:duplicate=0.2,reorder=0.3;streams:duplicate=0.2;dynamodb:conflict=0.05,lost_answer=0.02;seed=11";
const PATIENCE: Duration = Duration::from_mins(4);

#[tokio::test]
async fn a_deletion_ends_clean_and_counts_are_exact_however_often_its_workers_are_killed() {
    let folder = folder();
    let host = Host::start_in_haste(folder.path(), &[]);
    let operator = Operator::of(&host.addresses);
    let nobody = Caller::nobody_at(&host.addresses);
    let (ada, bob) = (Person::sign_up_at(&nobody, "ada").await, Person::sign_up_at(&nobody, "bob").await);
    let inside = Inside::of(&nobody).await.expect("the endpoint");
    ada.follow(&bob).await;
    bob.follow(&ada).await;
    let his = publish(&bob, "stays").await["id"].as_str().expect("an id").to_owned();
    let mut posts = Vec::new();
    for _ in 0..3 {
        posts.push(publish(&ada, "farewell").await["id"].as_str().expect("an id").to_owned());
    }
    // Each comments on all posts, replies and likes.
    for post in posts.iter().chain([&his]) {
        for (author, other) in [(&ada, &bob), (&bob, &ada)] {
            let comments = format!("/posts/{post}/comments");
            let comment = author.post(&comments, json!({"text": "farewell"})).await.expect(201);
            other.post(&comments, json!({"text": "farewell", "parent_id": comment["id"]})).await.expect(201);
            other.put(&format!("/comments/{}/like", comment["id"].as_str().expect("an id"))).await.expect(200);
        }
    }
    until("the follower gets the posts", PATIENCE, async || (bob.feed().await.len() == 4).then_some(())).await;

    let answer = Answer::to(ada.request(Method::DELETE, "/me").json(&json!({"password": PASSWORD}))).await.expect(202);
    operator.set_chaos(FAULTS).await;
    let path = answer.header("location").expect("a location").to_owned();
    inside.see_deleted_with(&path, PATIENCE, async || operator.redrive().await).await;
    operator.set_chaos("").await;

    let needles: Vec<&str> = [&ada.id, &ada.username, &ada.email].into_iter().chain(&posts).map(String::as_str).collect();
    // That somebody has just commented on her posts is noted for a minute.
    until("nothing is left", Duration::from_secs(90), async || {
        operator.redrive().await;
        let traces = inside.traces_of(&needles).await;
        if !traces.is_empty() {
            println!("{traces:#?}");
        }
        traces.is_empty().then_some(())
    })
    .await;
    bob.counts_become([1, 0, 0]).await;
    let left = bob.list(&format!("/posts/{his}/comments")).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["author"]["id"], &left[0]["reply_count"], &left[0]["counts"]["likes"]), (&json!(bob.id), &json!(0), &json!(0)));
    assert_eq!(inside.sum_of("CommentsTable", &format!("COUNTS#{his}")).await, 1);
}
