//! What ends, goes or leaves is in no inbox any more, and nothing else is missing.

use super::*;

#[tokio::test]
async fn what_is_about_a_deleted_post_goes_from_all_inboxes_and_from_groups_without_a_trace() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let (kept, deleted) = (stores.publish(ada, "").await, stores.publish(ada, "").await);
    for number in 0..45 {
        let fan = stores.sign_up(&format!("fan{number}")).await;
        let liked = stores.like(fan, &deleted).await;
        stores.tell(liked).await;
    }
    for what in [stores.like(bob, &kept).await, stores.comment(bob, deleted.id, None, "well").await.1] {
        stores.tell(what).await;
    }
    assert_eq!(stores.told(ada).await, (vec![(Kind::Comment, 1), (Kind::Like, 1), (Kind::Like, 45)], 3));
    posts::delete(&stores.posts, deleted.id, Time::now()).await.unwrap();
    stores.tell(What::PostDeleted { post_id: deleted.id, author_id: ada }).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Like, 1)], 1));
    let all = stores.notifications.client.scan().table_name("notifications").send().await.unwrap();
    assert!(!format!("{:?}", all.items()).contains(&deleted.id.to_string()));
}

#[tokio::test]
async fn what_is_gone_goes_in_shares_where_there_is_little_time_until_nothing_of_it_is_left() {
    let stores = stores().await;
    let ada = stores.sign_up("ada").await;
    let post = stores.publish(ada, "").await;
    for number in 0..65 {
        let fan = stores.sign_up(&format!("fan{number}")).await;
        let liked = stores.like(fan, &post).await;
        stores.tell(liked).await;
    }
    posts::delete(&stores.posts, post.id, Time::now()).await.unwrap();
    let attempt = async || work(&stores, &nowhere(), What::PostDeleted { post_id: post.id, author_id: ada }, Instant::now()).await;
    for left in [35, 5] {
        assert!(matches!(attempt().await, Err(Failure::ForNow(_))), "there is more");
        assert_eq!(stores.told(ada).await, (vec![(Kind::Like, left)], 1));
    }
    assert_eq!(attempt().await, Ok(()));
    assert_eq!(stores.told(ada).await, (vec![], 0));
}

#[tokio::test]
async fn what_the_list_has_removed_is_told_no_more_and_takes_nothing_from_a_later_group() {
    let stores = stores().await;
    let ada = stores.sign_up("ada").await;
    let (bob, cyd, dan) = (stores.sign_up("bob").await, stores.sign_up("cyd").await, stores.sign_up("dan").await);
    let post = stores.publish(ada, "").await;
    let liked = [stores.like(bob, &post).await, stores.like(cyd, &post).await];
    let commented = stores.comment(bob, post.id, None, "well").await.1;
    for what in liked.iter().chain([&commented]) {
        stores.tell(what.clone()).await;
    }
    assert_eq!(stores.told(ada).await, (vec![(Kind::Comment, 1), (Kind::Like, 2)], 2));
    let group = stores.notes(ada).await[1].clone();
    // Once and again: it is not there any more.
    for _ in 0..2 {
        notifications::drop_note(&stores.notifications, ada, &group).await.unwrap();
        assert_eq!(stores.told(ada).await, (vec![(Kind::Comment, 1)], 1));
    }
    for what in liked {
        stores.tell(what).await;
    }
    assert_eq!(stores.told(ada).await, (vec![(Kind::Comment, 1)], 1));
    // A new group of the same post and day.
    let another = stores.like(dan, &post).await;
    stores.tell(another).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Like, 1), (Kind::Comment, 1)], 2));
    stores.put(users::muting(ada, cyd).item()).await;
    stores.tell(What::MuteChanged { muter_id: ada, muted_id: cyd }).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Like, 1), (Kind::Comment, 1)], 2));
    assert_eq!(stores.notes(ada).await[0].actors, [dan]);
    // What has been read leaves the number of unread ones alone.
    mark_read(&stores.notifications, ada, Time::now()).await.unwrap();
    for note in stores.notes(ada).await {
        notifications::drop_note(&stores.notifications, ada, &note).await.unwrap();
    }
    assert_eq!(stores.told(ada).await, (vec![], 0));
}

/// An attempt that was killed before it could look again has told it.
#[tokio::test]
async fn what_was_told_of_a_comment_that_had_gone_is_taken_back_when_its_message_comes_again() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let post = stores.publish(bob, "").await;
    let (parent, _) = stores.comment(ada, post.id, None, "well").await;
    let (reply, replied) = stores.comment(bob, post.id, Some(parent.id), "well").await;
    stores.tell(replied.clone()).await;
    let (own, _) = stores.comment(ada, post.id, Some(parent.id), "well").await;
    comments::begin_liking(&stores.comments, &own, bob, Time::now()).await.unwrap();
    let liked = What::CommentLiked { comment_id: own.id, post_id: post.id, parent_id: Some(parent.id), user_id: bob };
    stores.tell(liked.clone()).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::CommentLike, 1), (Kind::Reply, 1)], 2));
    for comment in [reply, own] {
        comments::delete(&stores.comments, comment.id, None, Time::now()).await.unwrap();
    }
    stores.tell(liked).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Reply, 1)], 1));
    stores.tell(replied).await;
    assert_eq!(stores.told(ada).await, (vec![], 0));
}

#[tokio::test]
async fn a_block_and_a_mute_take_back_what_was_told_and_shrink_the_groups() {
    let stores = stores().await;
    let (ada, bob, cyd) = (stores.sign_up("ada").await, stores.sign_up("bob").await, stores.sign_up("cyd").await);
    let post = stores.publish(ada, "").await;
    for what in [stores.like(bob, &post).await, stores.like(cyd, &post).await, stores.follow(bob, ada).await, stores.follow(ada, bob).await]
    {
        stores.tell(what).await;
    }
    assert_eq!(stores.told(ada).await, (vec![(Kind::Follow, 1), (Kind::Like, 2)], 2));
    stores.put(users::muting(ada, cyd).item()).await;
    stores.tell(What::MuteChanged { muter_id: ada, muted_id: cyd }).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Follow, 1), (Kind::Like, 1)], 2));
    assert_eq!(stores.notes(ada).await[1].actors, [bob]);
    for key in [users::blocking(bob, ada), users::blocked(ada, bob)] {
        stores.put(key.item()).await;
    }
    stores.tell(What::BlockChanged { blocker_id: bob, blocked_id: ada }).await;
    assert_eq!((stores.told(ada).await, stores.told(bob).await), ((vec![], 0), (vec![], 0)));
}

/// Somebody deletes, blocks or mutes while another worker tells: nothing of it is left, and nothing of it counts.
#[tokio::test]
async fn what_ends_while_it_is_told_is_taken_back() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let pause = async || tokio::time::sleep(Duration::from_micros(fastrand::u64(..40_000))).await;
    for round in 0..40 {
        let post = stores.publish(ada, "").await;
        let liked = stores.like(bob, &post).await;
        let said = stores.comment(bob, post.id, None, "well").await.1;
        let telling = async { tokio::join!(stores.tell(liked.clone()), stores.tell(said.clone()), stores.tell(liked.clone())) };
        let ending = async {
            pause().await;
            if round % 2 == 0 {
                posts::delete(&stores.posts, post.id, Time::now()).await.unwrap();
                stores.tell(What::PostDeleted { post_id: post.id, author_id: ada }).await;
            } else {
                stores.put(users::muting(ada, bob).item()).await;
                stores.tell(What::MuteChanged { muter_id: ada, muted_id: bob }).await;
            }
        };
        tokio::join!(telling, ending);
        assert_eq!(stores.told(ada).await, (vec![], 0), "round {round}");
        stores.remove(users::muting(ada, bob)).await;
        stores.remove(users::muted_by(bob, ada)).await;
    }
}

#[tokio::test]
async fn of_whoever_leaves_nothing_is_left_in_any_inbox_and_the_others_stay() {
    let stores = stores().await;
    let (ada, bob, cyd) = (stores.sign_up("ada").await, stores.sign_up("bob").await, stores.sign_up("cyd").await);
    let (hers, his) = (stores.publish(ada, "with @bob").await, stores.publish(bob, "").await);
    let published = What::PostPublished { post_id: hers.id, author_id: ada, published_at: hers.published_at.unwrap() };
    for what in [
        published,
        stores.like(ada, &his).await,
        stores.like(cyd, &his).await,
        stores.like(bob, &hers).await,
        stores.comment(cyd, hers.id, None, "look, @bob").await.1,
        stores.follow(ada, bob).await,
    ] {
        stores.tell(what).await;
    }
    let told = vec![(Kind::Follow, 1), (Kind::Mention, 1), (Kind::Like, 2), (Kind::Mention, 1)];
    assert_eq!(stores.told(bob).await, (told, 4));
    stores.remove(users::profile(ada)).await;
    // Told again and again that its time is up, it goes on where it stopped.
    let (mut after, mut times) = (None, 0);
    loop {
        after = removal::remove(&stores, ada, after, Instant::now()).await.unwrap();
        times += 1;
        if after.is_none() {
            break;
        }
    }
    assert!(times >= 2, "{times}");
    assert_eq!(stores.told(bob).await, (vec![(Kind::Like, 1)], 1));
    let all = stores.notifications.client.scan().table_name("notifications").send().await.unwrap();
    let all = format!("{:?}", all.items());
    assert!(!all.contains(&ada.to_string()) && !all.contains(&hers.id.to_string()), "{all}");
    // Nor does a late message bring anything back.
    let late = What::PostLiked { post_id: his.id, author_id: bob, user_id: ada };
    stores.tell(late).await;
    assert_eq!(stores.told(bob).await, (vec![(Kind::Like, 1)], 1));
}
