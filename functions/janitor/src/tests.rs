//! Rounds that can't do what they should: with an embedded database or none, and never with an object store or a queue.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use serde_json::json;
use tintype_core::{
    JobId, UserId,
    event::{Event, What},
    media::Place,
    post::{ContentType, Draft, Photo, Post, Rendition},
};
use tintype_tables::{
    Key,
    jobs::{self as job_items, Deletion, Leaving},
    posts::{PROCESSING_TIME, TICKET_LIFETIME, marks},
    table::{number, text},
    users,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// The tables in `tables`; buckets and queues can't be reached.
fn stores(tables: Client) -> Stores {
    // A client without region and endpoint reaches nothing.
    let buckets = aws_sdk_s3::Client::from_conf(aws_sdk_s3::Config::builder().behavior_version_latest().build());
    let bucket = Bucket::new(&buckets, "none");
    let table = |name: &str| Table { client: tables.clone(), name: name.to_owned() };
    Stores {
        posts: table("posts"),
        users: table("users"),
        uploads: bucket.clone(),
        media: bucket,
        users_queue: queue("http://127.0.0.1:1"),
    }
}

fn queue(endpoint: &str) -> Sender {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Sender::new(aws_sdk_sqs::Client::from_conf(config), format!("{endpoint}/000000000000/users"))
}

/// Empty Posts and Users tables, as the template has them.
async fn empty_tables() -> Client {
    let database = Database::memory().unwrap();
    for name in ["posts", "users"] {
        database.create_table(serde_json::from_value(table(name)).unwrap()).unwrap();
    }
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

fn table(name: &str) -> serde_json::Value {
    let index = |name: &str, hash: &str, range: &str| {
        json!({
            "IndexName": name,
            "KeySchema": [{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        })
    };
    let attributes = ["pk", "sk", "unfinished", "deadline", "marked", "marked_at"];
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes.map(|name| json!({"AttributeName": name, "AttributeType": "S"})),
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [index("ByDeadline", "unfinished", "deadline"), index("ByMark", "marked", "marked_at")],
    })
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
    let stores = stores(empty_tables().await);
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

/// A bucket in which there is nothing.
async fn empty_bucket() -> Bucket {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    assert!(head.starts_with(b"GET "), "there is nothing to delete");
                    head.clear();
                    let list = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{list}", list.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true);
    Bucket::new(&aws_sdk_s3::Client::from_conf(config.build()), "none")
}

/// What is about a post in the table: `pk sk`.
async fn about(stores: &Stores, post_id: PostId) -> Vec<String> {
    let items = stores.posts.client.scan().table_name("posts").send().await.unwrap().items.unwrap_or_default();
    let keys = items.iter().map(|item| format!("{} {}", item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap()));
    keys.filter(|key| key.contains(&post_id.to_string())).collect()
}

/// As if a post had been deleted so long ago, and its time were up.
async fn let_time_pass(stores: &Stores, post_id: PostId, since: Duration) {
    let then = i64::try_from(since.as_millis()).unwrap();
    let then = Time::from_millis(Time::now().as_millis() - then).unwrap().to_string();
    let update = stores.posts.client.update_item().table_name("posts").set_key(Some(posts::key(post_id).item()));
    let update = update.update_expression("SET deleted_at = :then, deadline = :then").expression_attribute_values(":then", text(then));
    update.send().await.unwrap();
}

/// A published post that three like and have saved.
async fn liked_post(stores: &Stores) -> Post {
    let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
    let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
    let post = Post::new(draft, Time::now());
    let (post_id, now) = (post.id, Time::now());
    posts::create(&stores.posts, post.clone()).await.unwrap();
    let rendition = Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] };
    posts::finish_photo(&stores.posts, post_id, 0, rendition, Place::Public, now).await.unwrap();
    for fan in [UserId::new(), UserId::new(), UserId::new()] {
        marks::like(&stores.posts, &post, fan, now).await.unwrap();
        marks::save(&stores.posts, post_id, fan, now).await.unwrap();
    }
    post
}

#[tokio::test]
async fn what_people_have_marked_of_a_deleted_post_goes_once_nobody_can_be_marking_it_any_more() {
    let bucket = empty_bucket().await;
    let stores = Stores { uploads: bucket.clone(), media: bucket, ..stores(empty_tables().await) };
    let post = liked_post(&stores).await;
    let (post_id, now) = (post.id, Time::now());
    assert!(posts::delete(&stores.posts, post_id, now).await.unwrap());
    let before = about(&stores, post_id).await;

    run_round(&stores).await.unwrap();
    // Somebody who had read the post before likes it now.
    marks::like(&stores.posts, &post, UserId::new(), now).await.unwrap();
    assert!(about(&stores, post_id).await.len() > before.len() && overdue_at(&stores, Time::now()).await == 0);

    let_time_pass(&stores, post_id, Duration::from_mins(11)).await;
    assert_eq!(overdue_at(&stores, Time::now()).await, 1);
    run_round(&stores).await.unwrap();
    let left = about(&stores, post_id).await;
    assert_eq!(left.len(), 2, "the tombstone, and what lists it: {left:?}");
    assert_eq!(overdue_at(&stores, Time::now().plus(Duration::from_hours(1))).await, 0);
}

#[tokio::test]
async fn a_post_whose_marks_there_was_no_time_for_has_the_next_round_but_all_that_are_overdue_before_it_go_first() {
    let bucket = empty_bucket().await;
    let stores = Stores { uploads: bucket.clone(), media: bucket, ..stores(empty_tables().await) };
    let post_id = liked_post(&stores).await.id;
    posts::delete(&stores.posts, post_id, Time::now()).await.unwrap();
    let_time_pass(&stores, post_id, Duration::from_hours(1)).await;
    let marked = about(&stores, post_id).await;

    let begun = Time::now();
    assert_eq!(care::look_after(&stores, post_id, Instant::now()).await.unwrap(), "sweep");
    assert_eq!(about(&stores, post_id).await, marked, "there was no time");
    let deadline = posts::read_record(&stores.posts, post_id).await.unwrap().unwrap().deadline.unwrap();
    assert!(begun <= deadline && deadline <= Time::now(), "{deadline}");
    assert_eq!(overdue_at(&stores, Time::now()).await, 1);
    run_round(&stores).await.unwrap();
    assert_eq!(about(&stores, post_id).await.len(), 2, "the tombstone, and what lists it");
}

#[tokio::test]
async fn what_is_not_unfinished_is_not_put_off() {
    let stores = stores(empty_tables().await);
    let post_id = PostId::new();
    posts::put_off(&stores.posts, post_id, Time::now()).await.unwrap();
    assert_eq!(posts::read_record(&stores.posts, post_id).await.unwrap(), None);
}

/// Who is told of jobs: notes what, and says that it has it, but for what is refused.
async fn listener(refused: Option<JobId>) -> (Sender, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let notes = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let notes = notes.clone();
            tokio::spawn(async move {
                while let Some(body) = read_body(&mut stream).await {
                    let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
                    let body = message["MessageBody"].as_str().unwrap();
                    if refused.is_some_and(|id| body.contains(&id.to_string())) {
                        let answer = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        continue;
                    }
                    notes.lock().unwrap().push(body.to_owned());
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (queue(&endpoint), heard)
}

/// The body of the next request; `None` once there are no more.
async fn read_body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length: usize = text.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
            if bytes.len() >= head + 4 + length {
                return Some(bytes[head + 4..].to_vec());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn put_job(stores: &Stores, job: &Deletion) {
    stores.users.client.put_item().table_name("users").set_item(Some(job_items::item(job).unwrap())).send().await.unwrap();
}

#[tokio::test]
async fn who_works_on_jobs_is_told_of_those_whose_time_is_up_and_of_no_others() {
    let (users_queue, heard) = listener(None).await;
    let stores = Stores { users_queue, ..stores(empty_tables().await) };
    let now = Time::now();
    let leaving = || Leaving { user_id: UserId::new(), username: "ada".parse().unwrap(), email: "ada@example.org".to_owned() };
    let [mut overdue, running, mut done] = [(); 3].map(|()| Deletion::new(JobId::new(), leaving(), now));
    overdue.course.deadline = Some(now);
    done.finish(now);
    for job in [&overdue, &running, &done] {
        put_job(&stores, job).await;
    }
    run_round(&stores).await.unwrap();
    let heard: Vec<Event> = heard.lock().unwrap().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let Key { pk, sk } = users::deletion(overdue.id);
    assert_eq!(heard.into_iter().map(|event| event.what).collect::<Vec<_>>(), [What::JobOverdue { pk, sk }]);
}

#[tokio::test]
async fn one_job_that_nobody_can_be_told_of_is_no_reason_to_tell_of_no_others() {
    let now = Time::now();
    let leaving = || Leaving { user_id: UserId::new(), username: "ada".parse().unwrap(), email: "ada@example.org".to_owned() };
    let mut overdue: Vec<Deletion> = (0..8).map(|_| Deletion::new(JobId::new(), leaving(), now)).collect();
    let (users_queue, heard) = listener(Some(overdue[0].id)).await;
    let stores = Stores { users_queue, ..stores(empty_tables().await) };
    for (job, age) in overdue.iter_mut().zip([9, 8, 7, 6, 5, 4, 3, 2]) {
        job.course.deadline = Time::from_millis(now.as_millis() - age * 1000);
        // All in one partition, the refused one first.
        job.course.unfinished = Some("0".to_owned());
        put_job(&stores, job).await;
    }
    run_round(&stores).await.unwrap_err();
    assert_eq!(heard.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn a_round_that_can_not_tell_of_a_job_fails() {
    let stores = stores(empty_tables().await);
    let leaving = Leaving { user_id: UserId::new(), username: "ada".parse().unwrap(), email: "ada@example.org".to_owned() };
    let mut job = Deletion::new(JobId::new(), leaving, Time::now());
    job.course.deadline = Some(Time::now());
    put_job(&stores, &job).await;
    let error = run_round(&stores).await.unwrap_err();
    assert!(error.to_string().starts_with("a queue is unavailable"), "{error}");
}
