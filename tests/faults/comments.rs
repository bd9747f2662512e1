//! Comments while the table conflicts, throttles and loses its answers, and while who removes what is left of them is killed.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Caller, Person, client::Answer, inside::Inside, people::ids, photographs::publish, until},
    operator::Operator,
    process::{Host, folder},
};

/// Reads of indexes lag as well, so that likes are counted of which the index does not know.
const FAULTS: &str = "dynamodb:conflict=0.1,throttle=0.05,lost_answer=0.1,unprocessed=0.1,stale_ms=700;\
    streams:duplicate=0.3,reorder=0.3;sqs:duplicate=0.3,reorder=0.5;comments-worker:kill=0.3;event-router:kill=0.2;seed=5";
const PATIENCE: Duration = Duration::from_mins(4);
/// How long everything goes wrong between two looks inside.
const FAULTY: Duration = Duration::from_secs(3);
const PEOPLE: usize = 4;

fn id(answer: &Value) -> String {
    answer["id"].as_str().expect("an id").to_owned()
}

/// Somebody comments, and sends it again until it is there: once, by its key.
async fn say(author: &Person, post: &str, body: Value) -> Value {
    let key = crate::harness::unique("key");
    until("a comment is taken", PATIENCE, async || {
        let request = author.request(Method::POST, &format!("/posts/{post}/comments")).header("idempotency-key", &key).json(&body);
        let answer = Answer::to(request).await;
        if answer.status >= 500 || answer["code"] == "idempotency-in-progress" {
            return None;
        }
        Some(answer.expect(201).body)
    })
    .await
}

/// 404: an attempt before this one, whose answer was lost, has done it.
async fn delete(person: &Person, comment: &Value) {
    let status = person.delete(&format!("/comments/{}", id(comment))).await.status;
    assert!(matches!(status, 204 | 404), "{status}");
}

async fn like(person: &Person, comment: &Value, method: Method) {
    let liked = method == Method::PUT;
    let path = format!("/comments/{}/like", id(comment));
    let answer = if liked { person.put(&path).await } else { person.delete(&path).await };
    assert_eq!(answer.expect(200).body, json!({"liked": liked}));
}

#[tokio::test]
async fn counts_of_comments_are_what_is_there_and_nothing_of_the_deleted_is_left_while_everything_goes_wrong() {
    let folder = folder();
    let host = Host::start_in_haste(folder.path(), &[]);
    let operator = Operator::of(&host.addresses);
    let nobody = Caller::nobody_at(&host.addresses);
    let inside = Inside::of(&nobody).await.expect("the endpoint");
    let people = join_all((0..PEOPLE).map(|_| Person::sign_up_at(&nobody, "ada"))).await;
    let (kept, gone) = (id(&publish(&people[0], "kept").await), id(&publish(&people[0], "gone").await));
    let people: Vec<Person> = people.iter().map(Person::patient).collect();
    operator.set_chaos(FAULTS).await;

    // Each comments twice on one post and once on the other; all reply to all, and like; then each deletes one of their own comments and one
    // of their replies, and half take their likes back.
    let written = join_all(people.iter().map(async |author| {
        let (stays, goes) = (say(author, &kept, json!({"text": "stays"})).await, say(author, &kept, json!({"text": "goes"})).await);
        (stays, goes, say(author, &gone, json!({"text": "goes with its post"})).await)
    }))
    .await;
    let replies = join_all(people.iter().enumerate().map(async |(number, person)| {
        let mut deleted = Vec::new();
        for (other, (stays, goes, with_post)) in written.iter().enumerate() {
            let reply = json!({"text": "a reply", "parent_id": stays["id"]});
            say(person, &kept, reply.clone()).await;
            let taken_back = say(person, &kept, reply).await;
            say(person, &kept, json!({"text": "a reply", "parent_id": goes["id"]})).await;
            for comment in [stays, goes, with_post, &taken_back] {
                like(person, comment, Method::PUT).await;
            }
            if (number + other) % 2 == 0 {
                like(person, stays, Method::DELETE).await;
            }
            delete(person, &taken_back).await;
            deleted.push(id(&taken_back));
        }
        deleted
    }))
    .await;
    join_all(people.iter().zip(&written).map(|(author, (_, goes, _))| delete(author, goes))).await;
    let status = people[0].delete(&format!("/posts/{gone}")).await.status;
    assert!(matches!(status, 204 | 404), "{status}");

    // What is deleted is gone in the end, also while faults go on.
    let deleted: Vec<String> = written.iter().flat_map(|(_, goes, with_post)| [id(goes), id(with_post)]).chain(replies.concat()).collect();
    let needles: Vec<&str> = deleted.iter().map(String::as_str).collect();
    until("nothing of the deleted is left", PATIENCE, async || {
        operator.redrive().await;
        // The faults have their time; a look inside would meet them, too.
        tokio::time::sleep(FAULTY).await;
        operator.set_chaos("").await;
        let mut traces = inside.traces_of(&needles).await;
        // That they were deleted is known for two days; and of requests the edge keeps what they made.
        traces.retain(|trace| !format!("{trace:?}").contains("deleted_at") && !format!("{trace:?}").contains("KEY#"));
        if !traces.is_empty() {
            operator.set_chaos(FAULTS).await;
        }
        traces.is_empty().then_some(())
    })
    .await;

    let reader = &people[1];
    let listed = reader.list(&format!("/posts/{kept}/comments")).await;
    let mut expected: Vec<String> = written.iter().map(|(stays, ..)| id(stays)).collect();
    expected.sort();
    assert_eq!(ids(&listed), expected);
    for comment in &listed {
        let likes = PEOPLE / 2;
        assert_eq!((&comment["reply_count"], &comment["counts"]["likes"]), (&json!(PEOPLE), &json!(likes)), "{comment}");
        assert_eq!(reader.list(&format!("/comments/{}/replies", id(comment))).await.len(), PEOPLE);
    }
    assert_eq!(inside.sum_of("CommentsTable", &format!("COUNTS#{kept}")).await, i64::try_from(PEOPLE + PEOPLE * PEOPLE).expect("few"));
}
