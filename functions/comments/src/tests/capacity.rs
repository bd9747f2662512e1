//! What a comment costs, as an embedded database counts it: the figures of `docs/BENCHMARKS.md`.

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use dynoxide::Database;
use serde_json::json;
use tintype_core::{CommentId, PostId, Time, UserId, comment::Comment};
use tintype_tables::{
    Table,
    cards::Cards,
    comments::{self, Creation, Liking, Thread, begin_liking, create, delete, liked_of, take_back_liking},
    memory::Life,
};
use tintype_telemetry::{self as telemetry, Outcome, Work};
use tokio::net::TcpListener;

pub(super) async fn table() -> Table {
    let database = Database::memory().unwrap();
    let string = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let key = |pk: &str, sk: &str| json!([{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}]);
    let index = |name: &str, pk: &str, sk: &str| json!({"IndexName": name, "KeySchema": key(pk, sk), "Projection": {"ProjectionType": "KEYS_ONLY"}});
    let request = json!({
        "TableName": "comments", "KeySchema": key("pk", "sk"), "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": (["pk", "sk", "author_id", "marked", "marked_at"].map(string)),
        "GlobalSecondaryIndexes": [index("ByAuthor", "author_id", "sk"), index("ByMark", "marked", "marked_at")],
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
    Table { client: Client::from_conf(config.build()), name: "comments".to_owned() }
}

fn line() -> Work {
    Work {
        service: "test",
        operation: "cost".to_owned(),
        request_id: String::new(),
        trace_id: "Root=1-691f0f2a-5f1c2d3e4f5a6b7c8d9e0f1a".to_owned(),
    }
}

/// Read and write units of some work.
async fn cost(work: impl Future<Output = ()>) -> (f64, f64) {
    let measured = async {
        work.await;
        (telemetry::number("dynamodb.read_units"), telemetry::number("dynamodb.write_units"))
    };
    telemetry::observe(line(), measured, |_| Outcome::Ok).await
}

/// How many requests to read some work makes.
async fn requests(work: impl Future<Output = ()>) -> f64 {
    let measured = async {
        work.await;
        telemetry::number("dynamodb.reads")
    };
    telemetry::observe(line(), measured, |_| Outcome::Ok).await
}

/// Of the length that most are.
pub(super) fn comment(post_id: PostId, parent: Option<&Comment>) -> Comment {
    Comment {
        id: CommentId::new(),
        post_id,
        parent_id: parent.map(|parent| parent.id),
        author_id: UserId::new(),
        text: "What a light, @bob! ".repeat(6),
        mentions: vec!["bob".parse().unwrap()],
        created_at: Time::now(),
        likes: 0,
        reply_count: 0,
    }
}

#[tokio::test]
async fn a_comment_costs_nine_write_units_a_reply_eleven_and_a_like_five() {
    let table = table().await;
    let (post, fan, now) = (PostId::new(), UserId::new(), Time::now());
    let top = comment(post, None);
    let written = cost(async { assert_eq!(create(&table, &top, now).await.unwrap(), Creation::Created) }).await;
    assert_eq!(written, (0.0, 9.0), "comment, locator, count and trace, twice each for the transaction; one index");
    let under = comment(post, Some(&top));
    let replied = cost(async { assert_eq!(create(&table, &under, now).await.unwrap(), Creation::Created) }).await;
    assert_eq!(replied, (0.0, 11.0), "and the parent's count");
    let liked = cost(async { assert_eq!(begin_liking(&table, &top, fan, now).await.unwrap(), Liking::Begun) }).await;
    assert_eq!(liked, (0.0, 5.0), "like and comment, twice each; one index");
    let unliked = cost(async { assert!(take_back_liking(&table, top.id, fan).await.unwrap()) }).await;
    assert_eq!(unliked, (1.0, 5.0), "the like says where the comment is");
    // The locator and, side by side, the comment and what it replies to; consistent, a unit each for 4 KB.
    let read = cost(async { assert!(comments::find(&table, under.id).await.unwrap().is_some()) }).await;
    assert_eq!(read, (3.0, 0.0));
    let deleted = cost(async { assert!(delete(&table, under.id, Some(fan), now).await.unwrap()) }).await;
    assert_eq!(deleted, (3.0, 11.0), "tombstone, locator, two counts and trace; one index");
}

#[tokio::test]
async fn a_page_of_twenty_comments_and_what_the_viewer_likes_of_it_are_one_query_each() {
    let table = table().await;
    let (post, fan) = (PostId::new(), UserId::new());
    let mut ids = Vec::new();
    for number in 0..30 {
        let comment = comment(post, None);
        create(&table, &comment, Time::now()).await.unwrap();
        if number % 3 == 0 {
            begin_liking(&table, &comment, fan, Time::now()).await.unwrap();
        }
        ids.push(comment.id);
    }
    let page = cost(async {
        let page = comments::page(&table, Thread::Of(post), None, 20, |_| false).await.unwrap();
        assert_eq!(page.items.iter().map(|comment| comment.id).collect::<Vec<_>>(), ids[..20]);
    })
    .await;
    assert!(page.0 <= 6.0 && page.1 == 0.0, "{page:?}");
    let liked = cost(async {
        let liked = liked_of(&table, fan, &ids[..20]).await.unwrap();
        let expected = ids[..20].iter().step_by(3).copied().collect();
        assert_eq!(liked, expected);
    })
    .await;
    assert!(liked.0 <= 2.0, "{liked:?}");
}

/// Whoever likes very much of what a page's time has brought gets an answer for each of the page all the same.
#[tokio::test]
async fn what_is_liked_of_a_page_is_right_however_much_else_was_liked_meanwhile() {
    let table = table().await;
    let fan = UserId::new();
    let elsewhere = PostId::new();
    let first = comment(PostId::new(), None);
    create(&table, &first, Time::now()).await.unwrap();
    for _ in 0..310 {
        let other = comment(elsewhere, None);
        let mut like = comments::like(fan, other.id).item();
        like.insert("thread".to_owned(), tintype_tables::table::text("elsewhere"));
        table.client.put_item().table_name("comments").set_item(Some(like)).send().await.unwrap();
    }
    let (unliked, last) = (comment(first.post_id, None), comment(first.post_id, None));
    create(&table, &last, Time::now()).await.unwrap();
    for liked in [&first, &last] {
        begin_liking(&table, liked, fan, Time::now()).await.unwrap();
    }
    let liked = liked_of(&table, fan, &[last.id, first.id, unliked.id]).await.unwrap();
    assert_eq!(liked, [first.id, last.id].into());
}

#[tokio::test]
async fn authors_who_are_not_known_at_once_are_looked_up_together_and_that_they_are_not_there_is_remembered() {
    let (table, cards) = (table().await, Cards::lasting(Life::default()));
    let people: Vec<UserId> = (0..20).map(|_| UserId::new()).collect();
    let asked = || requests(async { assert!(cards.people(&table, people.clone(), None).await.unwrap().is_empty()) });
    // Eventually, and as of now.
    let (first, second) = (asked().await, asked().await);
    assert!((first - 2.0).abs() < 0.1 && second < 0.1, "{first}, {second}");
}
