//! What somebody has saved: for themselves alone, and as long as they may see it.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Caller, Person, people::ids, photographs::publish};

async fn post_of(author: &Person) -> String {
    publish(author, "to be saved").await["id"].as_str().expect("an id").to_owned()
}

async fn save(person: &Person, post: &str) {
    let answer = person.put(&format!("/posts/{post}/save")).await.expect(200);
    assert_eq!(answer.body, json!({"saved": true}));
}

async fn unsave(person: &Person, post: &str) {
    let answer = person.delete(&format!("/posts/{post}/save")).await.expect(200);
    assert_eq!(answer.body, json!({"saved": false}));
}

async fn saved(person: &Person) -> Vec<String> {
    ids(&person.list("/me/saved").await)
}

#[tokio::test]
async fn saved_posts_are_listed_at_once_newest_saves_first_and_each_once() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let (first, second, third) = (post_of(&ada).await, post_of(&ada).await, post_of(&bob).await);
    for post in [&second, &third, &first, &second] {
        save(&bob, post).await;
    }
    assert_eq!(saved(&bob).await, [first.as_str(), &third, &second]);
    for limit in [1, 2, 3, 4] {
        assert_eq!(ids(&bob.pages("/me/saved", limit).await.concat()), [first.as_str(), &third, &second], "by {limit}");
    }
    unsave(&bob, &third).await;
    unsave(&bob, &third).await;
    assert_eq!(saved(&bob).await, [first.as_str(), &second]);
    // Saved anew, it is the newest.
    unsave(&bob, &second).await;
    save(&bob, &second).await;
    assert_eq!(saved(&bob).await, [second.as_str(), &first]);
    let cards: Vec<Value> = bob.list("/me/saved").await;
    assert_eq!(cards[0], bob.get(&format!("/posts/{second}")).await.expect(200).body, "a post as everywhere else");
    // Nobody else is told, and nothing is counted.
    assert!(saved(&ada).await.is_empty());
    assert_eq!(ada.get(&format!("/posts/{second}")).await.expect(200)["viewer"]["saved"], false);
    Caller::nobody().get("/me/saved").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_page_is_filled_up_with_what_comes_after_posts_that_have_gone() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let mut posts = Vec::new();
    for _ in 0..5 {
        posts.insert(0, post_of(&ada).await);
        save(&bob, &posts[0]).await;
    }
    for gone in [0, 1, 3] {
        ada.delete(&format!("/posts/{}", posts[gone])).await.expect(204);
    }
    let left = [posts[2].as_str(), &posts[4]];
    for limit in [1, 2, 5] {
        let pages = bob.pages("/me/saved", limit).await;
        assert_eq!(ids(&pages[0]), &left[..limit.min(2)], "by {limit}");
        assert_eq!(ids(&pages.concat()), left, "by {limit}");
    }
}

#[tokio::test]
async fn thirty_two_clients_that_save_and_unsave_one_post_leave_a_list_that_says_what_its_card_says() {
    let ada = Person::sign_up("ada").await;
    let post = post_of(&ada).await;
    let path = format!("/posts/{post}/save");
    join_all((0..32).map(async |number| if number % 2 == 0 { ada.put(&path).await } else { ada.delete(&path).await }.expect(200))).await;
    let is_saved = ada.get(&format!("/posts/{post}")).await.expect(200)["viewer"]["saved"] == true;
    assert_eq!(saved(&ada).await, if is_saved { vec![post] } else { vec![] });
}
