//! Rounds that can't do what they should: with an embedded database or none, and never with an object store.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use serde_json::json;
use tintype_core::{
    UserId,
    post::{ContentType, Draft, Photo, Post},
};
use tintype_tables::{
    Key,
    posts::{PROCESSING_TIME, TICKET_LIFETIME},
    table::{number, text},
};
use tokio::net::TcpListener;

use super::*;

/// The Posts table in `tables`; the buckets can't be reached.
fn stores(tables: Client) -> Stores {
    // A client without region and endpoint reaches nothing.
    let buckets = aws_sdk_s3::Client::from_conf(aws_sdk_s3::Config::builder().behavior_version_latest().build());
    let bucket = Bucket::new(&buckets, "none");
    Stores { posts: Table { client: tables, name: "posts".to_owned() }, uploads: bucket.clone(), media: bucket }
}

/// An empty Posts table, as the template has it.
async fn empty_table() -> Client {
    let database = Database::memory().unwrap();
    let request = json!({
        "TableName": "posts",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": (["pk", "sk", "unfinished", "deadline"].map(|name| json!({"AttributeName": name, "AttributeType": "S"}))),
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [{
            "IndexName": "ByDeadline",
            "KeySchema": [{"AttributeName": "unfinished", "KeyType": "HASH"}, {"AttributeName": "deadline", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
    });
    database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

async fn run_round(stores: &Stores) -> Result<(), Error> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/janitor/schedule.json");
    let event: IgnoredAny = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    handle(stores, LambdaEvent::new(event, lambda_runtime::Context::default())).await
}

/// A post that is overdue since a minute.
async fn overdue_post(stores: &Stores) -> PostId {
    let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
    let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
    let age = TICKET_LIFETIME + PROCESSING_TIME + Duration::from_mins(1);
    let created_at = i64::try_from(age.as_millis()).unwrap();
    let post = Post::new(draft, Time::from_millis(Time::now().as_millis() - created_at).unwrap());
    let post_id = post.id;
    posts::create(&stores.posts, post).await.unwrap();
    post_id
}

/// Makes the item of a post one that can't be read.
async fn garble(stores: &Stores, post_id: PostId) {
    let Key { pk, sk } = posts::key(post_id);
    let update = stores.posts.client.update_item().table_name("posts").key("pk", text(pk)).key("sk", text(sk));
    update.update_expression("SET post = :one").expression_attribute_values(":one", number(1)).send().await.unwrap();
}

async fn overdue_at(stores: &Stores, now: Time) -> usize {
    let shards = (0..UNFINISHED_SHARDS).map(|shard| posts::overdue(&stores.posts, shard, now, MOST_POSTS));
    join_all(shards).await.into_iter().map(|shard| shard.unwrap().len()).sum()
}

#[tokio::test]
async fn a_round_that_can_not_read_the_index_fails() {
    let nowhere = Client::from_conf(aws_sdk_dynamodb::Config::builder().behavior_version_latest().build());
    let error = run_round(&stores(nowhere)).await.unwrap_err();
    assert!(error.is::<tintype_tables::Error>(), "{error}");
}

#[tokio::test]
async fn posts_that_can_not_be_looked_after_let_others_go_first_and_fail_the_round() {
    let stores = stores(empty_table().await);
    run_round(&stores).await.unwrap();

    overdue_post(&stores).await;
    garble(&stores, overdue_post(&stores).await).await;
    assert_eq!(overdue_at(&stores, Time::now()).await, 2);
    let error = run_round(&stores).await.unwrap_err();
    assert_eq!(error.to_string(), "2 of 2 overdue posts could not be looked after");
    assert_eq!(overdue_at(&stores, Time::now()).await, 0);
    assert_eq!(overdue_at(&stores, Time::now().plus(PAUSE)).await, 2);
    run_round(&stores).await.unwrap();
}

#[tokio::test]
async fn what_is_not_unfinished_is_not_put_off() {
    let stores = stores(empty_table().await);
    let post_id = PostId::new();
    posts::put_off(&stores.posts, post_id, Time::now()).await.unwrap();
    assert_eq!(posts::read_record(&stores.posts, post_id).await.unwrap(), None);
}
