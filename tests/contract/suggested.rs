//! People to follow.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::{
    deletion::leave,
    harness::{
        Caller, Person,
        people::{PASSWORD, ids},
        until,
    },
};

const PATIENCE: Duration = Duration::from_secs(20);
const SUGGESTED: &str = "/users/suggested?limit=50";

/// The ids of whom the viewer is told because of friends: other tests' people are popular, too.
async fn by_friends(viewer: &Person) -> Vec<String> {
    let mut suggested = viewer.get(SUGGESTED).await.expect(200)["items"].as_array().expect("items").clone();
    suggested.retain(|person| person["followed_by_friends"].as_u64().expect("a number") > 0);
    ids(&suggested)
}

#[tokio::test]
async fn friends_of_friends_are_suggested_by_how_many_friends_follow_them() {
    let viewer = Person::sign_up("viewer").await;
    let (ann, bea) = (Person::sign_up("ann").await, Person::sign_up("bea").await);
    let (one, two) = (Person::sign_up("one").await, Person::sign_up("two").await);
    viewer.follow(&ann).await;
    viewer.follow(&bea).await;
    ann.follow(&one).await;
    ann.follow(&two).await;
    bea.follow(&two).await;
    bea.follow(&viewer).await;
    bea.follow(&ann).await;
    // Read as of a moment ago.
    let expected = [two.id.clone(), one.id.clone()];
    until("both are suggested", PATIENCE, async || (by_friends(&viewer).await == expected).then_some(())).await;
    assert_eq!(by_friends(&viewer).await, expected, "the same again");

    // What the viewer does about one shows at once.
    viewer.follow(&one).await;
    assert_eq!(by_friends(&viewer).await, [two.id.as_str()]);
    for (undo, path) in [("mute", "mute"), ("block", "block")] {
        viewer.put(&format!("/users/{}/{path}", two.username)).await.expect(200);
        assert!(by_friends(&viewer).await.is_empty(), "{undo}");
        viewer.delete(&format!("/users/{}/{path}", two.username)).await.expect(200);
    }
    two.put(&format!("/users/{}/block", viewer.username)).await.expect(200);
    assert!(by_friends(&viewer).await.is_empty(), "who blocks the viewer");
    two.delete(&format!("/users/{}/block", viewer.username)).await.expect(200);
    two.patch("/me", json!({"is_private": true})).await.expect(200);
    assert_eq!(by_friends(&viewer).await, [two.id.as_str()], "a private account can be asked");
    viewer.put(&format!("/users/{}/follow", two.username)).await.expect(200);
    assert!(by_friends(&viewer).await.is_empty(), "and was");
}

/// Of all who are popular here, other tests' people too, who has two dozen followers is among the first fifty; the star leaves at the end, so that
/// this stays so.
#[tokio::test]
async fn who_knows_nobody_is_told_who_is_popular() {
    const FANS: usize = 24;
    let (star, newcomer) = (Person::sign_up("star").await, Person::sign_up("new").await);
    // All at once: what is counted for the list is counted after the last of them.
    let crowd = join_all((0..FANS).map(|_| Person::sign_up("fan"))).await;
    join_all(crowd.iter().map(|fan| fan.follow(&star))).await;
    let suggested = until("the star is suggested", PATIENCE, async || {
        let items = newcomer.get(SUGGESTED).await.expect(200)["items"].as_array().expect("items").clone();
        ids(&items).contains(&star.id).then_some(items)
    })
    .await;
    assert!(suggested.iter().all(|person| person["followed_by_friends"] == 0 && person["username"].is_string()));
    assert!(!ids(&suggested).contains(&newcomer.id));
    let before = |id: &String| ids(&suggested).iter().position(|other| other == id);
    assert!(crowd.iter().all(|fan| before(&fan.id).is_none_or(|place| Some(place) > before(&star.id))), "who is followed less comes later");
    leave(&star, PASSWORD).await.expect(202);
    // Cards are read as of a moment ago.
    until("who has left is nobody's suggestion", PATIENCE, async || {
        let items = newcomer.get(SUGGESTED).await.expect(200)["items"].as_array().expect("items").clone();
        (!ids(&items).contains(&star.id)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn suggestions_are_as_many_as_asked_for_and_personal() {
    let ada = Person::sign_up("ada").await;
    assert!(ada.get("/users/suggested?limit=1").await.expect(200)["items"].as_array().expect("items").len() <= 1);
    for limit in ["0", "51"] {
        ada.get(&format!("/users/suggested?limit={limit}")).await.invalid(&["?limit"]);
    }
    Caller::nobody().get("/users/suggested").await.problem(401, "unauthorized");
}
