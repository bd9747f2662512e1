//! Who follows whom, and that the counts are exact.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Caller, Person, people::ids, unique};

fn path(person: &Person) -> String {
    format!("/users/{}/follow", person.username)
}

async fn relationship(viewer: &Person, other: &Person) -> Value {
    viewer.get(&format!("/users/{}", other.username)).await.expect(200)["relationship"].clone()
}

#[tokio::test]
async fn a_follow_repeated_answers_the_same_and_counts_once() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    for _ in 0..3 {
        ada.follow(&bob).await;
    }
    ada.counts_become([0, 0, 1]).await;
    bob.counts_become([0, 1, 0]).await;
    for _ in 0..3 {
        ada.unfollow(&bob).await;
    }
    ada.counts_become([0, 0, 0]).await;
    bob.counts_become([0, 0, 0]).await;
}

#[tokio::test]
async fn counts_are_exact_however_often_a_follow_is_repeated_at_once() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let path = path(&bob);
    for answer in join_all((0..16).map(|_| ada.put(&path))).await {
        assert_eq!(answer.expect(200).body, json!({"following": true, "requested": false}));
    }
    ada.counts_become([0, 0, 1]).await;
    bob.counts_become([0, 1, 0]).await;
    for answer in join_all((0..16).map(|_| ada.delete(&path))).await {
        assert_eq!(answer.expect(200).body, json!({"following": false, "requested": false}));
    }
    ada.counts_become([0, 0, 0]).await;
    bob.counts_become([0, 0, 0]).await;
}

#[tokio::test]
async fn counts_equal_the_edges_when_follows_and_unfollows_cross() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let path = path(&bob);
    for _ in 0..3 {
        join_all((0..8).map(async |number| if number % 2 == 0 { ada.put(&path).await } else { ada.delete(&path).await }.expect(200))).await;
        let edges = u64::from(relationship(&ada, &bob).await["following"] == true);
        assert_eq!(bob.list(&format!("/users/{}/followers", bob.username)).await.len() as u64, edges);
        assert_eq!(bob.list(&format!("/users/{}/following", ada.username)).await.len() as u64, edges);
        ada.counts_become([0, 0, edges]).await;
        bob.counts_become([0, edges, 0]).await;
    }
}

#[tokio::test]
async fn many_who_follow_one_person_at_once_are_all_counted() {
    let bob = Person::sign_up("bob").await;
    let crowd = join_all((0..10).map(|_| Person::sign_up("fan"))).await;
    join_all(crowd.iter().map(|fan| fan.follow(&bob))).await;
    bob.counts_become([0, 10, 0]).await;
    let mut followers = ids(&bob.list(&format!("/users/{}/followers", bob.username)).await);
    let mut fans: Vec<String> = crowd.into_iter().map(|fan| fan.id).collect();
    followers.sort();
    fans.sort();
    assert_eq!(followers, fans);
}

#[tokio::test]
async fn both_sides_see_the_relationship() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    ada.follow(&bob).await;
    let (hers, his) = (relationship(&ada, &bob).await, relationship(&bob, &ada).await);
    assert_eq!((&hers["following"], &hers["followed_by"]), (&json!(true), &json!(false)));
    assert_eq!((&his["following"], &his["followed_by"]), (&json!(false), &json!(true)));
    let profile = Caller::nobody().get(&format!("/users/{}", bob.username)).await.expect(200);
    assert!(profile.body.get("relationship").is_none_or(Value::is_null), "nobody in particular is related to nobody");
}

#[tokio::test]
async fn followers_and_followed_are_listed_to_everybody() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    ada.follow(&bob).await;
    let nobody = Caller::nobody();
    assert_eq!(ids(&nobody.list(&format!("/users/{}/followers", bob.username)).await), [ada.id.as_str()]);
    let following = nobody.list(&format!("/users/{}/following", ada.username)).await;
    assert_eq!(ids(&following), [bob.id.as_str()]);
    assert_eq!(following[0]["username"], bob.username);
    for list in ["followers", "following"] {
        nobody.get(&format!("/users/{}/{list}", unique("nobody"))).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn nobody_follows_themselves_or_somebody_who_is_not_there() {
    let ada = Person::sign_up("ada").await;
    ada.put(&path(&ada)).await.problem(403, "cannot-follow-yourself");
    ada.counts_become([0, 0, 0]).await;
    let nobody = format!("/users/{}/follow", unique("nobody"));
    ada.put(&nobody).await.problem(404, "not-found");
    ada.delete(&nobody).await.problem(404, "not-found");
}
