//! The course of a deletion, with an embedded database, queues that note what they are told, and buckets that can't be reached.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use serde_json::{Value, json};
use tintype_core::{JobId, Time, UserId, event::Event};
use tintype_tables::{
    Key, graph,
    jobs::{self, Deletion, Leaving, MOST_DRIVES, PATIENCE, Status},
    table::{Item, text},
    users::follow_counts,
    writes::Transaction,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

pub(crate) type Heard = Arc<Mutex<Vec<(String, What)>>>;

/// Empty tables, and what the queues are told.
pub(crate) async fn world() -> (Stores, Heard) {
    let database = Database::memory().unwrap();
    for name in ["users", "posts", "edge"] {
        let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
        let attributes = json!([{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}]);
        let request = json!({"TableName": name, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"});
        database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }
    let string = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let key = |pk: &str| json!([{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    let request = json!({
        "TableName": "comments", "KeySchema": key("pk"), "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [string("pk"), string("sk"), string("author_id")],
        "GlobalSecondaryIndexes": [{"IndexName": "ByAuthor", "KeySchema": key("author_id"), "Projection": {"ProjectionType": "KEYS_ONLY"}}],
    });
    database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint);
    let client = Client::from_conf(config.build());
    let table = |name: &str| Table { client: client.clone(), name: name.to_owned() };
    // A client without region and endpoint reaches nothing.
    let buckets = aws_sdk_s3::Client::from_conf(aws_sdk_s3::Config::builder().behavior_version_latest().build());
    let bucket = Bucket::new(&buckets, "none");
    let (sqs, endpoint, heard) = queues().await;
    let queue = |name: &str| Sender::new(sqs.clone(), format!("{endpoint}/000000000000/{name}"));
    let stores = Stores {
        users: table("users"),
        posts: table("posts"),
        comments: table("comments"),
        edge: table("edge"),
        uploads: bucket.clone(),
        media: bucket.clone(),
        exports: bucket,
        feed_fanout_queue: queue("feed-fanout"),
        notification_queue: queue("notifications"),
        comments_queue: queue("comments"),
        posts_queue: queue("posts"),
    };
    (stores, heard)
}

/// Queues that note what they are told, and say that they have it.
async fn queues() -> (aws_sdk_sqs::Client, String, Heard) {
    let heard = Heard::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let notes = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let notes = notes.clone();
            tokio::spawn(async move {
                while let Some(message) = read_body(&mut stream).await {
                    let queue = message["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                    let event: Event = serde_json::from_str(message["MessageBody"].as_str().unwrap()).unwrap();
                    notes.lock().unwrap().push((queue, event.what));
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(&endpoint);
    (aws_sdk_sqs::Client::from_conf(config.build()), endpoint, heard)
}

/// The body of the next request; `None` once there are no more.
async fn read_body(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length: usize = text.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
            if bytes.len() >= head + 4 + length {
                return serde_json::from_slice(&bytes[head + 4..]).ok();
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

impl Stores {
    pub(crate) async fn put(&self, key: Key, attributes: &[(&str, &str)]) {
        let mut item = key.item();
        item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), text(*value))));
        self.put_item(item).await;
    }

    pub(crate) async fn put_item(&self, item: Item) {
        self.users.client.put_item().table_name("users").set_item(Some(item)).send().await.unwrap();
    }

    async fn follow(&self, follower: UserId, followee: UserId) {
        let mut transaction = Transaction::default();
        graph::connect(&mut transaction, &self.users, follower, followee, false, Time::now());
        transaction.commit(&self.users).await.unwrap();
    }

    async fn unfollow(&self, follower: UserId, followee: UserId) {
        let mut transaction = Transaction::default();
        graph::disconnect(&mut transaction, &self.users, follower, followee, Time::now());
        transaction.commit(&self.users).await.unwrap();
    }

    /// Both sides of something.
    async fn put_both(&self, one: Key, other: Key) {
        self.put(one, &[]).await;
        self.put(other, &[]).await;
    }

    /// Somebody who has just left: their card and account are gone.
    async fn somebody_who_leaves(&self) -> (UserId, JobId) {
        let (user, id, now) = (UserId::new(), JobId::new(), Time::now());
        let user_id = user.to_string();
        self.put(users::name(&"ada".parse().unwrap()), &[("user_id", &user_id)]).await;
        self.put(users::email("ada@example.org"), &[("user_id", &user_id)]).await;
        let leaving = Leaving { user_id: user, username: "ada".parse().unwrap(), email: "ada@example.org".to_owned() };
        self.put_item(jobs::item(&Deletion::new(id, leaving, now)).unwrap()).await;
        (user, id)
    }

    async fn job(&self, id: JobId) -> Deletion {
        self.users.get(&users::deletion(id), true).await.unwrap().unwrap()
    }

    /// As if a job's time were up.
    async fn let_time_pass(&self, id: JobId) {
        jobs::change(&self.users, &users::deletion(id), |job: &mut Deletion| {
            job.course.deadline = Some(Time::now());
            true
        })
        .await
        .unwrap();
    }

    /// All keys of a table that name somebody.
    async fn traces(&self, user: UserId) -> BTreeSet<String> {
        let items = self.users.client.scan().table_name("users").send().await.unwrap().items.unwrap_or_default();
        let keys = items.into_iter().map(|item| serde_dynamo::from_item::<_, Key>(item).unwrap());
        keys.map(|key| format!("{} {}", key.pk, key.sk)).filter(|key| key.contains(&user.to_string())).collect()
    }

    async fn tell(&self, what: What) -> Result<(), Failure> {
        process(self, what).await
    }

    async fn overdue(&self, id: JobId) -> Result<(), Failure> {
        let Key { pk, sk } = users::deletion(id);
        self.tell(What::JobOverdue { pk, sk }).await
    }

    async fn removed(&self, user_id: UserId, job_id: JobId, service: &str, next: Option<&str>) -> Result<(), Failure> {
        let (service, next) = (service.to_owned(), next.map(str::to_owned));
        self.tell(What::DataRemoved { user_id, job_id, service, next }).await
    }
}

fn told(heard: &Heard) -> Vec<(String, Option<String>)> {
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    let after = |what| if let What::AccountDeleted { after, .. } = what { after } else { panic!("{what:?}") };
    heard.into_iter().map(|(queue, what)| (queue, after(what))).collect()
}

fn to(queue: &str, after: Option<&str>) -> (String, Option<String>) {
    (queue.to_owned(), after.map(str::to_owned))
}

#[tokio::test]
async fn nothing_is_removed_that_others_still_write_and_what_is_made_of_something_goes_before_it() {
    let (stores, heard) = world().await;
    let (ada, job) = stores.somebody_who_leaves().await;
    let (bob, cyd) = (UserId::new(), UserId::new());
    stores.put(users::session(ada, tintype_core::SessionId::new()), &[]).await;
    for (follower, followee) in [(ada, bob), (bob, ada), (cyd, ada), (cyd, bob)] {
        stores.follow(follower, followee).await;
    }
    let begun = || What::AccountDeleted { user_id: ada, job_id: job, after: None };

    // Sessions and own follows first, and the other's count with them.
    stores.tell(begun()).await.unwrap();
    let left = stores.traces(ada).await;
    assert!(!left.iter().any(|key| key.contains("SESSION#") || key.ends_with(&format!("FOLLOWER#{ada}"))), "{left:?}");
    assert!(left.contains(&format!("USER#{ada} FOLLOWER#{cyd}")), "{left:?}");
    assert_eq!(follow_counts(&stores.users, bob).await.unwrap().followers, 1);
    // Then it is quiet, however often it is told.
    stores.tell(begun()).await.unwrap();
    stores.overdue(job).await.unwrap();
    assert_eq!(told(&heard), []);
    assert!(stores.job(job).await.course.is_waiting(Time::now().plus(Duration::from_secs(110))));

    // A request that was under way has made another follow: another quiet.
    stores.follow(ada, cyd).await;
    stores.let_time_pass(job).await;
    stores.overdue(job).await.unwrap();
    assert_eq!(told(&heard), []);
    assert_eq!(follow_counts(&stores.users, cyd).await.unwrap().followers, 0);

    // Timelines first, for as long as it takes; then what was told of her, then posts; edges last.
    stores.let_time_pass(job).await;
    stores.overdue(job).await.unwrap();
    assert_eq!(told(&heard), [to("comments", None), to("feed-fanout", None)]);
    stores.removed(ada, job, "comments-worker", None).await.unwrap();
    assert_eq!(told(&heard), [to("feed-fanout", None)]);
    stores.removed(ada, job, "feed-fanout", Some("FOLLOWER#1")).await.unwrap();
    assert_eq!(told(&heard), [to("feed-fanout", Some("FOLLOWER#1"))]);
    assert!(stores.traces(ada).await.contains(&format!("USER#{ada} FOLLOWER#{cyd}")));
    stores.removed(ada, job, "feed-fanout", None).await.unwrap();
    assert_eq!(told(&heard), [to("notifications", None)]);
    stores.removed(ada, job, "notifier", Some("PUBLISHED#1")).await.unwrap();
    assert_eq!(told(&heard), [to("notifications", Some("PUBLISHED#1"))]);
    stores.removed(ada, job, "notifier", None).await.unwrap();
    assert_eq!(told(&heard), [to("posts", None)]);
    // The buckets can't be reached: the message comes again, and the name is nobody else's yet.
    stores.removed(ada, job, "posts-worker", None).await.unwrap_err();
    assert_eq!(stores.job(job).await.course.status, Status::Running);
    let left = stores.traces(ada).await;
    assert!(!left.iter().any(|key| key.contains("FOLLOW") && !key.starts_with("COUNTS#")), "{left:?}");
    assert_eq!(follow_counts(&stores.users, cyd).await.unwrap().following, 1, "cyd still follows bob");
    assert_eq!(users::find(&stores.users, &"ada".parse().unwrap()).await.unwrap(), Some(ada));
}

#[tokio::test]
async fn both_sides_of_everything_between_two_people_go_and_what_others_have_between_them_stays() {
    let (stores, _) = world().await;
    let (ada, _) = stores.somebody_who_leaves().await;
    let (bob, cyd) = (UserId::new(), UserId::new());
    let pairs = |one, other| {
        [
            (users::blocking(one, other), users::blocked(other, one)),
            (users::muting(one, other), users::muted_by(other, one)),
            (users::requested(one, other), users::request(other, one)),
        ]
    };
    for (one, other) in [(ada, bob), (bob, ada), (cyd, bob)] {
        for (side, other_side) in pairs(one, other) {
            stores.put_both(side, other_side).await;
        }
        stores.follow(one, other).await;
    }
    stores.unfollow(bob, ada).await;
    let budget = clock::Budget::of(std::time::Instant::now());
    assert!(deletion::edges::remove_all(&stores, ada, &budget).await.unwrap());
    let left = stores.traces(ada).await;
    assert!(left.iter().all(|key| key.starts_with(&format!("COUNTS#{ada}"))), "{left:?}");
    for (side, other_side) in pairs(cyd, bob) {
        for key in [side, other_side] {
            assert!(stores.users.get::<Key>(&key, true).await.unwrap().is_some(), "{key:?}");
        }
    }
    let counts = follow_counts(&stores.users, bob).await.unwrap();
    assert_eq!((counts.followers, counts.following), (1, 0));
}

// The counter's shard and the edge change together: what is done twice is counted once.
#[tokio::test]
async fn counts_stay_exact_when_removals_cross_and_are_repeated() {
    let (stores, _) = world().await;
    let (ada, _) = stores.somebody_who_leaves().await;
    let bob = UserId::new();
    stores.follow(ada, bob).await;
    stores.follow(bob, ada).await;
    let budget = clock::Budget::of(std::time::Instant::now());
    let all = (0..4).map(|_| deletion::edges::remove_all(&stores, ada, &budget));
    for result in futures::future::join_all(all).await {
        result.unwrap();
    }
    let counts = follow_counts(&stores.users, bob).await.unwrap();
    assert_eq!((counts.followers, counts.following), (0, 0));
}

#[tokio::test]
async fn whoever_has_no_time_left_stops_with_what_was_begun() {
    let (stores, _) = world().await;
    let (ada, _) = stores.somebody_who_leaves().await;
    for _ in 0..150 {
        stores.put(users::session(ada, tintype_core::SessionId::new()), &[]).await;
    }
    assert!(!deletion::edges::remove_all(&stores, ada, &clock::Budget::none()).await.unwrap());
    assert_eq!(stores.traces(ada).await.len(), 50, "a page is gone");
}

#[tokio::test]
async fn a_deletion_that_does_not_get_on_fails_into_the_dead_letters_and_goes_on_when_it_is_redriven() {
    let (stores, heard) = world().await;
    let (ada, job) = stores.somebody_who_leaves().await;
    stores.tell(What::AccountDeleted { user_id: ada, job_id: job, after: None }).await.unwrap();
    stores.let_time_pass(job).await;
    // The end of the quiet is no drive; after it nobody says anything.
    for _ in 0..=MOST_DRIVES {
        stores.overdue(job).await.unwrap();
        stores.let_time_pass(job).await;
    }
    assert_eq!(told(&heard), vec![[to("comments", None), to("feed-fanout", None)]; MOST_DRIVES as usize + 1].concat());
    let Failure::ForEver(reason) = stores.overdue(job).await.unwrap_err() else { panic!("it would only come again") };
    let all = "comments-worker, feed-fanout, notifier, posts-worker";
    assert_eq!(reason, format!("deletion {job} does not get on; it waits for: {all}"));
    let failed = stores.job(job).await;
    assert_eq!((failed.course.status, failed.course.unfinished), (Status::Failed, None));
    assert!(failed.leaving.is_some() && failed.course.expires_at.is_none(), "nothing is lost");
    // The same message once more is no redrive, not even when the queue has thought it lost and gives it out again.
    const { assert!(deletion::PAUSE.as_secs() > 360, "the queue's visibility timeout") };
    assert!(matches!(stores.overdue(job).await, Err(Failure::ForEver(_))));

    jobs::change(&stores.users, &users::deletion(job), |job: &mut Deletion| {
        job.course.finished_at = Time::from_millis(0);
        true
    })
    .await
    .unwrap();
    stores.overdue(job).await.unwrap();
    assert_eq!(told(&heard), [to("comments", None), to("feed-fanout", None)]);
    let course = stores.job(job).await.course;
    assert!(course.is_running() && course.unfinished.is_some() && course.deadline > Some(Time::now().plus(PATIENCE / 2)));
}

#[tokio::test]
async fn a_name_that_somebody_else_has_by_now_stays_theirs() {
    let (stores, _) = world().await;
    let (_, job) = stores.somebody_who_leaves().await;
    let leaving = stores.job(job).await.leaving.unwrap();
    deletion::remains::free_claims(&stores, &leaving).await.unwrap();
    assert_eq!(users::find(&stores.users, &leaving.username).await.unwrap(), None);
    let other = UserId::new();
    stores.put(users::name(&leaving.username), &[("user_id", &other.to_string())]).await;
    deletion::remains::free_claims(&stores, &leaving).await.unwrap();
    assert_eq!(users::find(&stores.users, &leaving.username).await.unwrap(), Some(other));
}

#[tokio::test]
async fn a_job_that_can_not_be_read_is_put_aside_and_let_be_for_a_while() {
    let (stores, _) = world().await;
    let (user, id) = (UserId::new(), JobId::new());
    for key in [users::deletion(id), users::export(user, id)] {
        let now = Time::now();
        stores.put(key.clone(), &[("unfinished", "0"), ("deadline", &now.to_string()), ("status", "garbled")]).await;
        let told = stores.tell(What::JobOverdue { pk: key.pk.clone(), sk: key.sk.clone() }).await;
        let Err(Failure::ForEver(reason)) = told else { panic!("{told:?}") };
        assert!(reason.contains(&id.to_string()) && reason.contains("can't be read"), "{reason}");
        let item: std::collections::BTreeMap<String, String> = stores.users.get(&key, true).await.unwrap().unwrap();
        assert!(item["deadline"] > now.plus(UNREADABLE / 2).to_string(), "{item:?}");
        assert_eq!(item["status"], "garbled");
    }
}

#[tokio::test]
async fn a_job_that_nobody_knows_is_put_aside() {
    let (stores, _) = world().await;
    let overdue = stores.tell(What::JobOverdue { pk: "WORK#1".to_owned(), sk: "WORK".to_owned() }).await;
    assert_eq!(overdue, Err(Failure::ForEver("no job is at WORK#1, WORK".to_owned())));
    // One that has ended and gone is none.
    stores.overdue(JobId::new()).await.unwrap();
}
