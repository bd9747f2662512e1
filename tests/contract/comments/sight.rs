//! For whom comments are there: whoever sees the post, but not across a block.

use serde_json::json;

use super::{at, id, on, post, reply, say};
use crate::harness::{Caller, Person, people::ids};

async fn block(blocker: &Person, blocked: &Person) {
    blocker.put(&format!("/users/{}/block", blocked.username)).await.expect(200);
}

/// Nothing of a comment, or of what is said about its post, is there for `caller`.
async fn nothing_is_there(caller: &Person, post: &str, comment: &serde_json::Value) {
    caller.get(&on(post)).await.problem(404, "not-found");
    caller.post(&on(post), json!({"text": "let me in"})).await.problem(404, "not-found");
    caller.get(&at(comment)).await.problem(404, "not-found");
    caller.get(&format!("{}/replies", at(comment))).await.problem(404, "not-found");
    caller.put(&format!("{}/like", at(comment))).await.problem(404, "not-found");
    caller.delete(&format!("{}/like", at(comment))).await.problem(404, "not-found");
    caller.delete(&at(comment)).await.problem(404, "not-found");
}

#[tokio::test]
async fn of_a_private_account_approved_followers_alone_see_comments_and_write_some() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    bob.put(&format!("/users/{}/follow", ada.username)).await.expect(200);
    ada.put(&format!("/me/follow-requests/{}", bob.username)).await.expect(204);
    let post = post(&ada).await;
    let comment = say(&bob, &post, "among us").await;
    reply(&ada, &comment, "indeed").await;
    nothing_is_there(&cyd, &post, &comment).await;
    for path in [on(&post), at(&comment), format!("{}/replies", at(&comment))] {
        Caller::nobody().get(&path).await.problem(404, "not-found");
        bob.get(&path).await.expect(200);
    }
    // Whoever follows no more sees them no more, and may take back what they have said all the same.
    let (kept, taken) = (say(&bob, &post, "kept").await, say(&bob, &post, "taken back").await);
    bob.unfollow(&ada).await;
    bob.get(&at(&kept)).await.problem(404, "not-found");
    bob.get(&on(&post)).await.problem(404, "not-found");
    bob.put(&format!("{}/like", at(&kept))).await.problem(404, "not-found");
    bob.delete(&at(&taken)).await.expect(204);
    assert_eq!(ids(&ada.list(&on(&post)).await), [id(&comment), id(&kept)]);
}

#[tokio::test]
async fn a_block_between_the_viewer_and_the_posts_author_hides_all_that_is_said_there() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = post(&ada).await;
    let comment = say(&cyd, &post, "hello").await;
    block(&ada, &bob).await;
    nothing_is_there(&bob, &post, &comment).await;
    // And if it is the viewer who blocks.
    let other = super::post(&bob).await;
    let comment = say(&cyd, &other, "hello").await;
    nothing_is_there(&ada, &other, &comment).await;
}

#[tokio::test]
async fn a_block_between_two_who_comment_hides_each_from_the_other_and_from_nobody_else() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = post(&ada).await;
    let (his, hers) = (say(&bob, &post, "his").await, say(&cyd, &post, "hers").await);
    let (under_his, under_hers) = (reply(&cyd, &his, "her reply").await, reply(&bob, &hers, "his reply").await);
    let between = reply(&ada, &his, "the host's").await;
    block(&bob, &cyd).await;
    for (viewer, own, other, own_reply, other_reply) in
        [(&bob, &his, &hers, &under_hers, &under_his), (&cyd, &hers, &his, &under_his, &under_hers)]
    {
        assert_eq!(ids(&viewer.list(&on(&post)).await), [id(own)]);
        for hidden in [other, own_reply, other_reply] {
            viewer.get(&at(hidden)).await.problem(404, "not-found");
            viewer.get(&format!("{}/replies", at(hidden))).await.problem(404, "not-found");
            viewer.put(&format!("{}/like", at(hidden))).await.problem(404, "not-found");
        }
        viewer.delete(&at(other)).await.problem(404, "not-found");
        viewer.post(&on(&post), json!({"text": "across", "parent_id": other["id"]})).await.invalid(&["/parent_id"]);
        let replies = viewer.list(&format!("{}/replies", at(own))).await;
        assert!(replies.iter().all(|reply| reply["id"] != other_reply["id"]), "{replies:?}");
    }
    assert_eq!(ids(&bob.list(&format!("{}/replies", at(&his))).await), [id(&between)]);
    cyd.get(&at(&between)).await.problem(404, "not-found");
    for reader in [&Caller::nobody(), &*ada] {
        assert_eq!(ids(&reader.list(&on(&post)).await), [id(&his), id(&hers)]);
        assert_eq!(reader.list(&format!("{}/replies", at(&his))).await.len(), 2);
    }
}

#[tokio::test]
async fn who_comments_and_then_blocks_the_author_can_still_be_silenced_by_them() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let comment = say(&bob, &post, "and now you can't see it").await;
    block(&bob, &ada).await;
    assert!(ada.list(&on(&post)).await.is_empty());
    ada.delete(&at(&comment)).await.expect(204);
    assert!(Caller::nobody().list(&on(&post)).await.is_empty());
}

#[tokio::test]
async fn of_a_post_that_is_deleted_no_comment_is_there() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    let post = post(&ada).await;
    let comment = say(&bob, &post, "gone with it").await;
    ada.delete(&format!("/posts/{post}")).await.expect(204);
    nothing_is_there(&bob, &post, &comment).await;
    nothing_is_there(&ada, &post, &comment).await;
}

#[tokio::test]
async fn whoever_likes_a_comment_that_is_out_of_sight_by_now_can_take_that_back() {
    let (ada, bob, cyd) = (Person::sign_up("ada").await, Person::sign_up("bob").await, Person::sign_up("cyd").await);
    let post = post(&ada).await;
    let comment = say(&cyd, &post, "liked").await;
    let under = reply(&cyd, &comment, "liked too").await;
    let likes = async |comment: &serde_json::Value| ada.get(&at(comment)).await.expect(200)["counts"]["likes"].clone();
    for liked in [&comment, &under] {
        bob.put(&format!("{}/like", at(liked))).await.expect(200);
        ada.put(&format!("{}/like", at(liked))).await.expect(200);
    }
    // Between him and who wrote it; then between him and whose post it is.
    block(&cyd, &bob).await;
    bob.delete(&format!("{}/like", at(&comment))).await.problem(404, "not-found");
    assert_eq!((likes(&comment).await, likes(&under).await), (json!(1), json!(2)));
    block(&ada, &bob).await;
    for _ in 0..2 {
        bob.delete(&format!("{}/like", at(&under))).await.problem(404, "not-found");
        assert_eq!((likes(&comment).await, likes(&under).await), (json!(1), json!(1)));
    }
}
