//! Who follows, asks and blocks whom, while the table conflicts, throttles and loses its answers: counts equal edges.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::{
    harness::{Caller, Person, people::ids, until},
    operator::Operator,
    process::{Host, folder},
};

/// The stream's records come twice, too: approvals and the list of the popular are made from them.
const FAULTS: &str = "dynamodb:conflict=0.1,throttle=0.1,lost_answer=0.1;streams:duplicate=0.3,reorder=0.3;users-worker:kill=0.1;seed=11";
const PATIENCE: Duration = Duration::from_mins(2);

/// Somebody who tries again what fails.
pub(crate) async fn sign_up(nobody: &Caller, name: &str) -> Person {
    until("somebody signs up", PATIENCE, async || match Person::try_to_sign_up_at(nobody, name).await {
        Ok(person) => Some(person.patient()),
        // Whether the account is there nobody knows: the next attempt is somebody else.
        Err(answer) if answer.status >= 500 => None,
        Err(answer) => panic!("{}", answer.text),
    })
    .await
}

#[tokio::test]
async fn counts_equal_edges_whatever_the_table_does_while_people_follow_ask_and_block() {
    let folder = folder();
    let host = Host::start_in_haste(folder.path(), &["--chaos", FAULTS]);
    let nobody = Caller::nobody_at(&host.addresses);
    let star = sign_up(&nobody, "star").await;
    let crowd = join_all((0..8).map(|_| sign_up(&nobody, "fan"))).await;
    let path = format!("/users/{}/follow", star.username);
    star.patch("/me", json!({"is_private": true})).await.expect(200);
    // All ask, some twice and some no more; the first two are approved at once, the third is blocked, the others when the account turns public.
    join_all(crowd.iter().enumerate().map(async |(number, fan)| {
        fan.put(&path).await.expect(200);
        match number {
            0 | 1 => drop(star.put(&format!("/me/follow-requests/{}", fan.username)).await.expect(204)),
            2 => drop(star.put(&format!("/users/{}/block", fan.username)).await.expect(200)),
            3 => drop(fan.delete(&path).await.expect(200)),
            _ => drop(fan.put(&path).await.expect(200)),
        }
    }))
    .await;
    star.counts_become([0, 2, 0]).await;
    star.patch("/me", json!({"is_private": false})).await.expect(200);
    until("nobody waits", PATIENCE, async || star.list("/me/follow-requests").await.is_empty().then_some(())).await;
    // And one follows and unfollows all the time meanwhile.
    for _ in 0..4 {
        crowd[3].put(&path).await.expect(200);
        crowd[3].delete(&path).await.expect(200);
    }
    Operator::of(&host.addresses).set_chaos("").await;
    let mut expected: Vec<String> = [0, 1, 4, 5, 6, 7].map(|number: usize| crowd[number].id.clone()).into();
    expected.sort();
    assert_eq!(ids(&star.list(&format!("/users/{}/followers", star.username)).await), expected);
    star.counts_become([0, 6, 0]).await;
    for (number, fan) in crowd.iter().enumerate() {
        let follows = expected.contains(&fan.id);
        let listed = fan.list(&format!("/users/{}/following", fan.username)).await;
        assert_eq!(listed.len(), usize::from(follows), "{number}");
        let counts = fan.get(&format!("/users/{}", fan.username)).await.expect(200)["counts"].clone();
        assert_eq!(counts["following"], u64::from(follows), "{number}");
    }
}
