//! Follows when many act at once: 32 clients, and an exact end.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Person, people::ids};

const CLIENTS: usize = 32;

fn follow(person: &Person) -> String {
    format!("/users/{}/follow", person.username)
}

async fn relationship(viewer: &Person, other: &Person) -> Value {
    viewer.get(&format!("/users/{}", other.username)).await.expect(200)["relationship"].clone()
}

/// Both lists and both counts say what the relationship says, for a pair that nobody else follows.
async fn agree(ada: &Person, bob: &Person) {
    let edges = u64::from(relationship(ada, bob).await["following"] == true);
    let followers = ids(&bob.list(&format!("/users/{}/followers", bob.username)).await);
    let following = ids(&bob.list(&format!("/users/{}/following", ada.username)).await);
    assert_eq!((followers.len() as u64, following.len() as u64), (edges, edges));
    ada.counts_become([0, 0, edges]).await;
    bob.counts_become([0, edges, 0]).await;
}

#[tokio::test]
async fn follows_and_unfollows_of_one_pair_by_32_clients_end_with_counts_that_equal_the_edges() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let path = follow(&bob);
    join_all((0..CLIENTS).map(async |number| if number % 2 == 0 { ada.put(&path).await } else { ada.delete(&path).await }.expect(200)))
        .await;
    agree(&ada, &bob).await;
}

#[tokio::test]
async fn thirty_two_who_follow_one_person_at_once_are_all_counted() {
    let bob = Person::sign_up("bob").await;
    let crowd = join_all((0..CLIENTS).map(|_| Person::sign_up("fan"))).await;
    join_all(crowd.iter().map(|fan| fan.follow(&bob))).await;
    bob.counts_become([0, CLIENTS as u64, 0]).await;
    let mut followers = ids(&bob.list(&format!("/users/{}/followers", bob.username)).await);
    let mut fans: Vec<String> = crowd.into_iter().map(|fan| fan.id).collect();
    followers.sort();
    fans.sort();
    assert_eq!(followers, fans);
}

#[tokio::test]
async fn a_block_beside_follows_ends_without_any_follow() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let block = format!("/users/{}/block", ada.username);
    join_all((0..CLIENTS).map(async |number| match number % 8 {
        0 => drop(bob.put(&block).await.expect(200)),
        // Before the block it works, after it there is nobody; who blocks is told.
        1..=5 => {
            let status = ada.put(&follow(&bob)).await.status;
            assert!([200, 404].contains(&status), "{status}");
        }
        _ => {
            let status = bob.put(&follow(&ada)).await.status;
            assert!([200, 403].contains(&status), "{status}");
        }
    }))
    .await;
    let edges = relationship(&bob, &ada).await;
    assert_eq!(edges, json!({"following": false, "requested": false, "followed_by": false, "blocking": true, "muting": false}));
    ada.counts_become([0, 0, 0]).await;
    bob.counts_become([0, 0, 0]).await;
}

#[tokio::test]
async fn approvals_beside_withdrawals_end_as_a_follow_or_as_nothing() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.patch("/me", json!({"is_private": true})).await.expect(200);
    ada.put(&follow(&bob)).await.expect(200);
    let request = format!("/me/follow-requests/{}", ada.username);
    join_all((0..CLIENTS).map(async |number| match number % 4 {
        0 => drop(ada.delete(&follow(&bob)).await.expect(200)),
        1 | 2 => drop(ada.put(&follow(&bob)).await.expect(200)),
        _ => {
            let status = bob.put(&request).await.status;
            assert!([204, 404].contains(&status), "{status}");
        }
    }))
    .await;
    let edges = relationship(&ada, &bob).await;
    assert!(edges["following"] == false || edges["requested"] == false, "{edges}");
    let waiting = bob.list("/me/follow-requests").await.len();
    assert_eq!(waiting, usize::from(edges["requested"] == true));
    agree(&ada, &bob).await;
}

#[tokio::test]
async fn lists_are_whole_while_people_follow_and_unfollow() {
    let bob = Person::sign_up("bob").await;
    let crowd = join_all((0..8).map(|_| Person::sign_up("fan"))).await;
    join_all(crowd.iter().map(|fan| fan.follow(&bob))).await;
    let (stay, move_about) = crowd.split_at(4);
    let path = format!("/users/{}/followers", bob.username);
    let restless = async {
        for _ in 0..3 {
            join_all(move_about.iter().map(|fan| fan.unfollow(&bob))).await;
            join_all(move_about.iter().map(|fan| fan.follow(&bob))).await;
        }
    };
    let readings = async {
        for _ in 0..3 {
            let read = ids(&bob.pages(&path, 2).await.concat());
            assert!(read.is_sorted_by(|first, second| first < second), "each once, in one order: {read:?}");
            assert!(stay.iter().all(|fan| read.contains(&fan.id)), "who stays is there: {read:?}");
        }
    };
    tokio::join!(restless, readings);
}
