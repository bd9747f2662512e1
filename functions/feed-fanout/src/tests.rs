//! Timelines in an embedded database, with follows that change at the worst moment.

use std::collections::BTreeMap;

use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use serde_json::json;
use tintype_core::{
    PostId, Time, UserId,
    media::Place,
    post::{ContentType, Draft, Photo, Post, Rendition},
    profile::ProfileCard,
};
use tintype_tables::{
    Key, Page,
    feeds::{self, Entry},
    posts,
    table::{Item, Query, text},
    users,
};
use tokio::net::TcpListener;

use super::*;

/// Empty tables, as the template has them.
async fn tables() -> Tables {
    let database = Database::memory().unwrap();
    for name in ["users", "posts", "feeds"] {
        let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
        let attributes = json!([{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}]);
        let request = json!({"TableName": name, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"});
        database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    tables_at(&endpoint)
}

fn tables_at(endpoint: &str) -> Tables {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    let client = Client::from_conf(config);
    let table = |name: &str| Table { client: client.clone(), name: name.to_owned() };
    Tables { users: table("users"), posts: table("posts"), feeds: table("feeds") }
}

impl Tables {
    /// Has a card from now on.
    async fn sign_up(&self, user: UserId) {
        let card =
            ProfileCard { id: user, username: "ada".parse().unwrap(), display_name: "Ada".to_owned(), is_private: false, avatar: None };
        let mut item: Item = serde_dynamo::to_item(card).unwrap();
        item.extend(users::profile(user).item());
        self.users.client.put_item().table_name("users").set_item(Some(item)).send().await.unwrap();
    }

    /// Has no card any more; all else is as it was.
    async fn leave(&self, user: UserId) {
        self.users.client.delete_item().table_name("users").set_key(Some(users::profile(user).item())).send().await.unwrap();
    }

    async fn put(&self, key: Key) {
        self.users.client.put_item().table_name("users").set_item(Some(key.item())).send().await.unwrap();
    }

    async fn follow(&self, follower: UserId, followee: UserId) {
        self.sign_up(follower).await;
        self.sign_up(followee).await;
        let since = || [("since".to_owned(), text(Time::now().to_string()))];
        for key in [users::following(follower, followee), users::follower(followee, follower)] {
            let mut item = key.item();
            item.extend(since());
            self.users.client.put_item().table_name("users").set_item(Some(item)).send().await.unwrap();
        }
    }

    async fn unfollow(&self, follower: UserId, followee: UserId) {
        for key in [users::following(follower, followee), users::follower(followee, follower)] {
            self.users.client.delete_item().table_name("users").set_key(Some(key.item())).send().await.unwrap();
        }
    }

    async fn publish(&self, author_id: UserId) -> fanout::NewPost {
        self.sign_up(author_id).await;
        let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
        let draft = Draft { author_id, caption: String::new(), location: None, comments_enabled: true, photos };
        let post = Post::new(draft, Time::now());
        let post_id = post.id;
        posts::create(&self.posts, post).await.unwrap();
        let rendition = Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] };
        let record = posts::finish_photo(&self.posts, post_id, 0, rendition, Place::Public, Time::now()).await.unwrap().unwrap();
        fanout::NewPost { post_id, author_id, published_at: record.post.published_at.unwrap() }
    }

    /// The posts of a viewer's timeline, newest first.
    async fn timeline(&self, viewer: UserId) -> Vec<PostId> {
        let query = Query { pk: feeds::timeline(viewer), prefix: None, after: None, descending: true, consistent: true, limit: 1000 };
        let page: Page<Entry> = self.feeds.query(query).await.unwrap();
        page.items.iter().map(|entry| entry.post_id().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_post_is_in_every_followers_timeline_once_however_often_its_message_comes() {
    let tables = tables().await;
    let (author, other) = (UserId::new(), UserId::new());
    let followers: Vec<UserId> = (0..60).map(|_| UserId::new()).collect();
    for follower in &followers {
        tables.follow(*follower, author).await;
    }
    let post = tables.publish(author).await;
    for _ in 0..2 {
        fanout::fan_out(&tables, &post).await.unwrap();
    }
    for viewer in followers.iter().chain([&author]) {
        assert_eq!(tables.timeline(*viewer).await, [post.post_id]);
    }
    assert_eq!(tables.timeline(other).await, []);
}

// Promise 3: the worker had read the followers before the unfollow, and writes the entry after all was mended.
#[tokio::test]
async fn whoever_unfollows_while_a_page_is_written_does_not_keep_the_entry() {
    let tables = tables().await;
    let (author, left, stays) = (UserId::new(), UserId::new(), UserId::new());
    tables.follow(stays, author).await;
    let post = tables.publish(author).await;
    let entry = |viewer| Entry::new(viewer, post.post_id, author, post.published_at, Time::now());
    timeline::put(&tables.feeds, [entry(left), entry(stays)]).await.unwrap();
    fanout::mend_those_who_left(&tables, author, None, &[left, stays]).await.unwrap();
    assert_eq!(tables.timeline(left).await, []);
    assert_eq!(tables.timeline(stays).await, [post.post_id]);
}

#[tokio::test]
async fn a_timeline_is_made_to_agree_with_the_follow_whatever_the_order_of_messages() {
    let tables = tables().await;
    let (author, viewer, friend) = (UserId::new(), UserId::new(), UserId::new());
    let (first, second) = (tables.publish(author).await, tables.publish(author).await);
    let of_friend = tables.publish(friend).await;
    tables.follow(viewer, friend).await;
    reconcile::reconcile(&tables, viewer, friend).await.unwrap();

    tables.follow(viewer, author).await;
    reconcile::reconcile(&tables, viewer, author).await.unwrap();
    assert_eq!(tables.timeline(viewer).await, [of_friend.post_id, second.post_id, first.post_id]);

    tables.unfollow(viewer, author).await;
    // The message of the follow comes once more, after the unfollow: it must bring nothing back.
    for _ in 0..2 {
        reconcile::reconcile(&tables, viewer, author).await.unwrap();
        assert_eq!(tables.timeline(viewer).await, [of_friend.post_id]);
    }
}

#[tokio::test]
async fn messages_that_fail_for_now_are_named_and_come_again() {
    // Nobody listens there.
    let tables = tables_at("http://127.0.0.1:1");
    let sqs = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url("http://127.0.0.1:1")
        .build();
    let sqs = aws_sdk_sqs::Client::from_conf(sqs);
    let dead_letters = DeadLetters::new(sqs.clone(), "http://127.0.0.1:1/000000000000/dead");
    let users_queue = Sender::new(sqs, "http://127.0.0.1:1/000000000000/users");
    let work = async |what| process(&tables, &users_queue, what).await;
    let mut ids = BTreeMap::new();
    for name in ["post-published-and-follow", "poison"] {
        let path = format!("{}/../../events/feed-fanout/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: SqsEvent = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let sent: Vec<String> = event.records.iter().map(|message| message.message_id.clone().unwrap()).collect();
        let failed = tintype_queues::consume("feed-fanout", &dead_letters, &work, event, Instant::now()).await.batch_item_failures;
        ids.insert(name, (sent, failed.into_iter().map(|failure| failure.item_identifier).collect::<Vec<_>>()));
    }
    for (name, (sent, failed)) in ids {
        assert_eq!(sent, failed, "{name}");
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

#[tokio::test]
async fn whoever_leaves_is_in_nobodys_timeline_any_more_also_not_with_posts_that_were_deleted_or_followers_that_left() {
    let tables = tables().await;
    let (leaving, friend) = (UserId::new(), UserId::new());
    let readers: Vec<UserId> = (0..4).map(|_| UserId::new()).collect();
    let of_friend = tables.publish(friend).await;
    for reader in readers.iter().chain([&leaving]) {
        tables.follow(*reader, friend).await;
    }
    fanout::fan_out(&tables, &of_friend).await.unwrap();
    for reader in &readers {
        tables.follow(*reader, leaving).await;
    }
    for deleted in [false, true] {
        let post = tables.publish(leaving).await;
        fanout::fan_out(&tables, &post).await.unwrap();
        if deleted {
            posts::delete(&tables.posts, post.post_id, Time::now()).await.unwrap();
        }
    }
    // One has unfollowed, one blocks, and nobody has mended their timelines yet.
    let [_, left, blocks, blocked] = readers[..] else { panic!() };
    for former in [left, blocks, blocked] {
        tables.unfollow(former, leaving).await;
    }
    tables.put(users::fenced_by(leaving, left)).await;
    tables.put(users::blocked(leaving, blocks)).await;
    tables.put(users::blocking(leaving, blocked)).await;
    assert!(tables.timeline(left).await.len() == 3 && tables.timeline(leaving).await.len() == 3);

    tables.leave(leaving).await;
    assert_eq!(removal::remove(&tables, leaving, None, later()).await.unwrap(), None);
    assert_eq!(tables.timeline(leaving).await, []);
    for reader in &readers {
        assert_eq!(tables.timeline(*reader).await, [of_friend.post_id]);
    }
}

#[tokio::test]
async fn a_removal_that_runs_out_of_time_goes_on_where_it_stopped() {
    let tables = tables().await;
    let leaving = UserId::new();
    let readers: Vec<UserId> = (0..120).map(|_| UserId::new()).collect();
    for reader in &readers {
        tables.follow(*reader, leaving).await;
    }
    tables.put(users::fenced_by(leaving, UserId::new())).await;
    fanout::fan_out(&tables, &tables.publish(leaving).await).await.unwrap();
    tables.leave(leaving).await;
    let with_entries = async || {
        let mut with = 0;
        for reader in &readers {
            with += tables.timeline(*reader).await.len();
        }
        with
    };
    let first = removal::remove(&tables, leaving, None, Instant::now()).await.unwrap();
    assert!(first.as_ref().is_some_and(|next| next.starts_with(users::FOLLOWERS)), "{first:?}");
    assert_eq!(with_entries().await, 70);
    let second = removal::remove(&tables, leaving, first, Instant::now()).await.unwrap();
    assert_eq!(with_entries().await, 20);
    assert_eq!(removal::remove(&tables, leaving, second, Instant::now()).await.unwrap(), None);
    assert_eq!(with_entries().await, 0);
}

#[tokio::test]
async fn a_timeline_that_is_too_long_for_the_time_is_removed_page_by_page_before_all_else() {
    let tables = tables().await;
    let (leaving, reader, author) = (UserId::new(), UserId::new(), UserId::new());
    tables.follow(reader, leaving).await;
    let of_leaving = tables.publish(leaving).await;
    fanout::fan_out(&tables, &of_leaving).await.unwrap();
    let now = Time::now();
    let entries = (0..1001).map(|_| Entry::new(leaving, PostId::new(), author, now, now));
    timeline::put(&tables.feeds, entries).await.unwrap();
    tables.leave(leaving).await;
    let first = removal::remove(&tables, leaving, None, Instant::now()).await.unwrap();
    assert!(first.is_some() && tables.timeline(leaving).await.len() == 2, "{first:?}");
    assert_eq!(tables.timeline(reader).await, [of_leaving.post_id]);
    assert_eq!(removal::remove(&tables, leaving, first, Instant::now()).await.unwrap(), None);
    assert_eq!((tables.timeline(leaving).await, tables.timeline(reader).await), (vec![], vec![]));
}

// What comes late, of a post that was published or a follow that was made just before: it would stay for ever.
#[tokio::test]
async fn nothing_is_written_for_or_of_somebody_who_has_left() {
    let tables = tables().await;
    let (leaving, reader) = (UserId::new(), UserId::new());
    tables.follow(reader, leaving).await;
    tables.follow(leaving, reader).await;
    let (of_leaving, _) = (tables.publish(leaving).await, tables.publish(reader).await);
    tables.leave(leaving).await;
    fanout::fan_out(&tables, &of_leaving).await.unwrap();
    reconcile::reconcile(&tables, reader, leaving).await.unwrap();
    reconcile::reconcile(&tables, leaving, reader).await.unwrap();
    assert_eq!(tables.timeline(reader).await, []);
    assert_eq!(tables.timeline(leaving).await, []);
}
