//! How many there are, whatever is done at once, and what it costs to say.

use super::*;

/// Two processes: the turns of one are not those of the other.
#[tokio::test]
async fn unread_is_exact_while_many_tell_take_back_and_read_at_once() {
    let stores = stores().await;
    let other = another_process(&stores);
    let ada = stores.sign_up("ada").await;
    let post = stores.publish(ada, "").await;
    let mut liked = Vec::new();
    let mut fans = Vec::new();
    for number in 0..24 {
        let fan = stores.sign_up(&format!("fan{number}")).await;
        liked.push(stores.like(fan, &post).await);
        liked.push(stores.follow(fan, ada).await);
        fans.push(fan);
    }
    let telling = async |stores: &Stores, order: Vec<What>| {
        for batch in order.chunks(6) {
            futures::future::join_all(batch.iter().map(|what| stores.tell(what.clone()))).await;
        }
    };
    let reversed: Vec<What> = liked.iter().rev().cloned().collect();
    let muting = async {
        for fan in &fans[..4] {
            stores.put(users::muting(ada, *fan).item()).await;
            stores.tell(What::MuteChanged { muter_id: ada, muted_id: *fan }).await;
        }
    };
    let reading = async {
        for _ in 0..10 {
            mark_read(&stores.notifications, ada, Time::now()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(telling(&stores, liked.clone()), telling(&other, reversed), muting, reading);
    let state = notifications::state(&stores.notifications, ada).await.unwrap();
    let notes = stores.notes(ada).await;
    let counts: BTreeMap<Kind, u64> = notes.iter().map(|note| (note.kind, note.actor_count)).collect();
    assert_eq!(counts, BTreeMap::from([(Kind::Follow, 20), (Kind::Like, 20)]));
    assert_eq!(notes.iter().filter(|note| state.is_unread(note.updated_at)).count() as u64, state.unread);
}

fn another_process(stores: &Stores) -> Stores {
    let Stores { users, posts, comments, notifications, .. } = stores;
    let (users, posts, comments) = (users.clone(), posts.clone(), comments.clone());
    Stores { users, posts, comments, notifications: notifications.clone(), turns: Turns::default() }
}

#[tokio::test]
async fn what_has_gone_by_itself_after_ninety_days_is_not_counted_any_more() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let cause = |post_id| tintype_core::notification::Cause {
        kind: Kind::Mention,
        actor_id: Some(bob),
        subject: tintype_core::notification::Subject::Post(post_id),
    };
    let (long_ago, now) = (Time::now().minus(LIFETIME + Duration::from_hours(24)), Time::now());
    for at in [long_ago, now] {
        assert!(notifications::tell(&stores.notifications, ada, &cause(PostId::new()), at).await.unwrap());
    }
    assert_eq!(unread(&stores.notifications, ada, long_ago).await.unwrap(), 2);
    assert_eq!(unread(&stores.notifications, ada, now).await.unwrap(), 1);
    assert_eq!(notifications::state(&stores.notifications, ada).await.unwrap().unread, 1, "it is kept");
    // Also for whoever asks a minute later.
    let poll = cost(async { assert_eq!(unread(&stores.notifications, ada, now.plus(Duration::from_mins(1))).await.unwrap(), 1) });
    assert_eq!(poll.await, (0.5, 0.0));
}

/// Read and write units.
async fn cost<T>(work: impl Future<Output = T>) -> (f64, f64) {
    let line = Work { service: "test", operation: "test".to_owned(), request_id: String::new(), trace_id: String::new() };
    let body = async {
        work.await;
        (number("dynamodb.read_units"), number("dynamodb.write_units"))
    };
    observe(line, Box::pin(body), |_| Outcome::Ok).await
}

/// What docs/BENCHMARKS.md says.
#[tokio::test]
async fn a_notification_and_the_number_of_unread_ones_cost_what_the_benchmarks_say() {
    let stores = stores().await;
    let (ada, bob, cyd) = (stores.sign_up("ada").await, stores.sign_up("bob").await, stores.sign_up("cyd").await);
    let post = stores.publish(ada, "").await;
    let (first, second) = (stores.like(bob, &post).await, stores.like(cyd, &post).await);
    let (alone, grown) = (cost(stores.tell(first.clone())).await, cost(stores.tell(second)).await);
    let repeated = cost(stores.tell(first)).await;
    let count = cost(unread(&stores.notifications, ada, Time::now())).await;
    let reading = cost(mark_read(&stores.notifications, ada, Time::now())).await;
    // Reads and writes. Four and five items in a transaction, two units each, and one for each of the two indexes.
    assert_eq!([alone, grown], [(13.0, 10.0), (14.0, 12.0)]);
    assert_eq!(repeated, (8.0, 0.0));
    assert_eq!([count, reading], [(0.5, 0.0), (1.0, 2.0)]);
}
