//! Timelines in an embedded database, with follows that change at the worst moment.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use serde_json::json;
use tintype_core::{
    PostId, Time, UserId,
    post::{ContentType, Draft, Photo, Post, Rendition},
};
use tintype_tables::{
    Page,
    feeds::{self, Entry},
    posts,
    table::{Query, text},
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
    async fn follow(&self, follower: UserId, followee: UserId) {
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
        let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
        let draft = Draft { author_id, caption: String::new(), location: None, comments_enabled: true, photos };
        let post = Post::new(draft, Time::now());
        let post_id = post.id;
        posts::create(&self.posts, post).await.unwrap();
        let rendition = Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] };
        let record = posts::finish_photo(&self.posts, post_id, 0, rendition, Time::now()).await.unwrap().unwrap();
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
    let dead_letters = DeadLetters::new(aws_sdk_sqs::Client::from_conf(sqs), "http://127.0.0.1:1/000000000000/dead");
    let mut ids = BTreeMap::new();
    for name in ["post-published-and-follow", "poison"] {
        let path = format!("{}/../../events/feed-fanout/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: SqsEvent = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let sent: Vec<String> = event.records.iter().map(|message| message.message_id.clone().unwrap()).collect();
        let failed = handle(&tables, &dead_letters, event).await.batch_item_failures;
        ids.insert(name, (sent, failed.into_iter().map(|failure| failure.item_identifier).collect::<Vec<_>>()));
    }
    for (name, (sent, failed)) in ids {
        assert_eq!(sent, failed, "{name}");
    }
}
