//! Comments on an embedded database: whatever crosses, whatever goes and whoever leaves, counts are what is there.

mod census;
mod model;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use futures::future::join_all;
use serde_json::{Value, json};
use tintype_core::{
    CommentId, PostId, UserId,
    comment::Comment,
    event::{Event, What},
    post::{Draft, Post},
};
use tintype_tables::{
    comments::{Creation, Liking, begin_liking, create, delete, end_liking, find, key, number_now},
    posts,
};
use tokio::net::TcpListener;

use super::*;
use census::Census;

/// Empty tables.
async fn world() -> Tables {
    let database = Database::memory().unwrap();
    let string = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let key = |pk: &str, sk: &str| json!([{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}]);
    let index = |name: &str, pk: &str, sk: &str| json!({"IndexName": name, "KeySchema": key(pk, sk), "Projection": {"ProjectionType": "KEYS_ONLY"}});
    for request in [
        json!({
            "TableName": "posts", "KeySchema": key("pk", "sk"), "AttributeDefinitions": (["pk", "sk"].map(string)),
            "BillingMode": "PAY_PER_REQUEST",
        }),
        json!({
            "TableName": "comments", "KeySchema": key("pk", "sk"), "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": (["pk", "sk", "author_id", "marked", "marked_at"].map(string)),
            "GlobalSecondaryIndexes": [index("ByAuthor", "author_id", "sk"), index("ByMark", "marked", "marked_at")],
        }),
    ] {
        database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }
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
    Tables { posts: table("posts"), comments: table("comments") }
}

fn comment(post_id: PostId, parent: Option<&Comment>, author_id: UserId) -> Comment {
    Comment {
        id: CommentId::new(),
        post_id,
        parent_id: parent.map(|parent| parent.id),
        author_id,
        text: "A secret, @secret".to_owned(),
        mentions: vec!["secret".parse().unwrap()],
        created_at: Time::now(),
        likes: 0,
        reply_count: 0,
    }
}

impl Tables {
    fn sweep(&self) -> Sweep<'_> {
        Sweep { comments: &self.comments, up: Instant::now() + TIME }
    }

    /// A sweep that has no time.
    fn late(&self) -> Sweep<'_> {
        Sweep { comments: &self.comments, up: Instant::now() }
    }

    async fn write(&self, post: PostId, parent: Option<&Comment>, author: UserId) -> Comment {
        let comment = comment(post, parent, author);
        assert_eq!(create(&self.comments, &comment, Time::now()).await.unwrap(), Creation::Created);
        comment
    }

    async fn like(&self, comment: &Comment, user: UserId) -> Liking {
        begin_liking(&self.comments, comment, user, Time::now()).await.unwrap()
    }

    async fn unlike(&self, comment: &Comment, user: UserId) -> bool {
        end_liking(&self.comments, comment.id, &key(comment).pk, user).await.unwrap()
    }

    async fn delete(&self, comment: &Comment) -> bool {
        delete(&self.comments, comment.id, None, Time::now()).await.unwrap()
    }

    /// What the worker does when it is told that a comment is deleted.
    async fn work_on(&self, comment: &Comment) {
        let left = removal::of_comment(&self.sweep(), comment.post_id, comment.parent_id, comment.id).await.unwrap();
        assert!(left.is_none());
    }

    async fn census(&self) -> Census {
        Census::of(&self.comments).await
    }
}

fn people<const N: usize>() -> [UserId; N] {
    [(); N].map(|()| UserId::new())
}

#[tokio::test]
async fn a_comment_a_reply_and_a_like_are_counted_once_however_often_they_are_repeated() {
    let tables = world().await;
    let (post, [ada, bob]) = (PostId::new(), people());
    let top = tables.write(post, None, ada).await;
    let reply = tables.write(post, Some(&top), bob).await;
    for again in [&top, &reply] {
        assert_eq!(create(&tables.comments, again, Time::now()).await.unwrap(), Creation::Known);
    }
    assert_eq!(tables.like(&top, bob).await, Liking::Begun);
    assert_eq!(tables.like(&top, bob).await, Liking::Known);
    let found = find(&tables.comments, top.id).await.unwrap().unwrap().comment;
    assert_eq!((found.likes, found.reply_count, found.text.as_str()), (1, 1, "A secret, @secret"));
    assert!(tables.unlike(&top, bob).await);
    assert!(!tables.unlike(&top, bob).await);
    assert_eq!(number_now(&tables.comments, post).await.unwrap(), 2);
    tables.census().await.is_exact();
}

#[tokio::test]
async fn what_is_deleted_is_gone_at_once_with_its_replies_and_says_nothing_of_what_it_was() {
    let tables = world().await;
    let (post, [ada, bob]) = (PostId::new(), people());
    let (top, other) = (tables.write(post, None, ada).await, tables.write(post, None, bob).await);
    let reply = tables.write(post, Some(&top), bob).await;
    tables.like(&top, bob).await;
    tables.like(&reply, ada).await;
    assert!(tables.delete(&top).await);
    for gone in [&top, &reply] {
        assert_eq!(find(&tables.comments, gone.id).await.unwrap(), None);
        assert!(!tables.delete(gone).await);
    }
    assert_eq!(tables.like(&top, ada).await, Liking::NoComment);
    assert_eq!(create(&tables.comments, &comment(post, Some(&top), bob), Time::now()).await.unwrap(), Creation::NoParent);
    assert_eq!(create(&tables.comments, &top, Time::now()).await.unwrap(), Creation::Known, "the same request makes it no second time");
    assert_eq!(number_now(&tables.comments, post).await.unwrap(), 1);
    let census = tables.census().await;
    census.is_exact();
    let tombstone = census.json_at(&key(&top));
    assert!(!tombstone.contains("secret") && !tombstone.contains(&ada.to_string()), "{tombstone}");

    tables.work_on(&top).await;
    let census = tables.census().await;
    census.is_exact();
    assert_eq!(census.comments(), [other.id]);
    assert_eq!(census.tombstones() + census.likes(), 0);
    assert_eq!(create(&tables.comments, &top, Time::now()).await.unwrap(), Creation::Known, "nor after it was removed");
    assert_eq!(census.json_at(&tintype_tables::comments::locator(top.id)).matches("0193").count(), 0);
}

#[tokio::test]
async fn a_reply_that_is_deleted_alone_leaves_its_parent_with_one_reply_less() {
    let tables = world().await;
    let (post, [ada]) = (PostId::new(), people());
    let top = tables.write(post, None, ada).await;
    let (one, two) = (tables.write(post, Some(&top), ada).await, tables.write(post, Some(&top), ada).await);
    assert!(tables.delete(&one).await);
    tables.work_on(&one).await;
    assert_eq!(find(&tables.comments, top.id).await.unwrap().unwrap().comment.reply_count, 1);
    let census = tables.census().await;
    census.is_exact();
    assert_eq!(census.comments(), [top.id, two.id]);
}

/// What crosses here is a deletion and the replies and likes that come meanwhile.
#[tokio::test]
async fn counts_are_exact_when_thirty_two_clients_reply_to_like_and_delete_one_comment() {
    let tables = world().await;
    let (post, people) = (PostId::new(), people::<32>());
    for _ in 0..4 {
        let top = tables.write(post, None, people[0]).await;
        join_all(people.iter().enumerate().map(async |(number, person)| match number % 8 {
            7 if number > 20 => drop(tables.delete(&top).await),
            0..=3 => drop(create(&tables.comments, &comment(post, Some(&top), *person), Time::now()).await.unwrap()),
            4 | 5 => drop(tables.like(&top, *person).await),
            _ => {
                tables.like(&top, *person).await;
                tables.unlike(&top, *person).await;
            }
        }))
        .await;
        assert_eq!(find(&tables.comments, top.id).await.unwrap(), None);
        tables.census().await.is_exact();
        assert_eq!(number_now(&tables.comments, post).await.unwrap(), 0);
        // Two are told of it, and who leaves takes a like back.
        tokio::join!(tables.work_on(&top), tables.work_on(&top), tables.unlike(&top, people[4]));
        let census = tables.census().await;
        assert_eq!((census.comments().len(), census.tombstones(), census.likes()), (0, 0, 0));
    }
}

#[tokio::test]
async fn counts_are_exact_when_thirty_two_clients_comment_like_and_delete_as_they_please() {
    let tables = world().await;
    let (post, people) = (PostId::new(), people::<32>());
    for _ in 0..3 {
        let tops = join_all(people.iter().map(|person| tables.write(post, None, *person))).await;
        assert_eq!(number_now(&tables.comments, post).await.unwrap(), 32);
        join_all(people.iter().enumerate().map(async |(number, person)| {
            let (own, next) = (&tops[number], &tops[(number + 1) % 32]);
            tables.like(next, *person).await;
            let reply = comment(post, Some(next), *person);
            let created = create(&tables.comments, &reply, Time::now()).await.unwrap();
            if number % 3 == 0 {
                tables.delete(own).await;
            } else if created == Creation::Created {
                tables.delete(&reply).await;
            }
        }))
        .await;
        tables.census().await.is_exact();
        assert!(removal::of_post(&tables.sweep(), &tables.posts, post).await.unwrap());
        assert_eq!(tables.census().await.rows(), 0, "nothing is left of the post's comments");
    }
}

#[tokio::test]
async fn a_removal_that_is_cut_off_says_so_and_is_ended_by_the_next() {
    let tables = world().await;
    let (post, [ada, bob]) = (PostId::new(), people());
    let top = tables.write(post, None, ada).await;
    for _ in 0..60 {
        let reply = tables.write(post, Some(&top), bob).await;
        tables.like(&reply, ada).await;
    }
    for fan in people::<60>() {
        tables.like(&top, fan).await;
    }
    tables.delete(&top).await;
    let left = removal::of_comment(&tables.late(), post, None, top.id).await.unwrap().unwrap();
    let spoken = |census: &Census| census.json_at(&key(&top)).split("event_id").nth(1).unwrap().to_owned();
    let before = tables.census().await;
    comments::removal::remind_of_comment(&tables.comments, &left, Time::now()).await.unwrap();
    assert_ne!(spoken(&before), spoken(&tables.census().await), "it is told anew");
    tables.work_on(&top).await;
    let census = tables.census().await;
    assert_eq!((census.comments().len(), census.tombstones(), census.likes()), (0, 0, 0));

    let live = tables.write(post, None, ada).await;
    tables.like(&live, bob).await;
    assert!(!removal::of_post(&tables.late(), &tables.posts, post).await.unwrap());
    comments::removal::remind_of_post(&tables.comments, post, ada, Time::now()).await.unwrap();
    assert!(removal::of_post(&tables.sweep(), &tables.posts, post).await.unwrap());
    assert_eq!(tables.census().await.rows(), 1, "but that there was a comment that was deleted, until nobody asks any more");
}

#[tokio::test]
async fn what_is_there_is_not_removed_whatever_a_message_says() {
    let tables = world().await;
    let ada = UserId::new();
    let draft = Draft { author_id: ada, caption: String::new(), location: None, comments_enabled: true, photos: vec![] };
    let post = Post::new(draft, Time::now());
    let id = post.id;
    posts::create(&tables.posts, post).await.unwrap();
    let top = tables.write(id, None, ada).await;
    assert!(matches!(removal::of_post(&tables.sweep(), &tables.posts, id).await, Err(Failure::ForEver(_))));
    assert!(matches!(removal::of_comment(&tables.sweep(), id, None, top.id).await, Err(Failure::ForEver(_))));
    assert_eq!(tables.census().await.comments(), [top.id]);
}

#[tokio::test]
async fn of_a_person_who_leaves_no_comment_and_no_like_is_left_and_others_counts_are_exact() {
    let tables = world().await;
    let [ada, bob, cyd] = people();
    let draft = Draft { author_id: ada, caption: String::new(), location: None, comments_enabled: true, photos: vec![] };
    let hers = Post::new(draft, Time::now());
    let (his, own) = (PostId::new(), hers.id);
    posts::create(&tables.posts, hers).await.unwrap();
    // Under her post and under his: comments, replies and likes of all, in all directions.
    for post in [own, his] {
        for author in [ada, bob, cyd] {
            let top = tables.write(post, None, author).await;
            for replier in [ada, bob] {
                let reply = tables.write(post, Some(&top), replier).await;
                join_all([ada, cyd].map(|fan| tables.like(&reply, fan))).await;
            }
            join_all([ada, bob].map(|fan| tables.like(&top, fan))).await;
        }
    }
    // A reply of hers to what is deleted, which nobody has worked on yet.
    let deleted = tables.write(his, None, bob).await;
    tables.write(his, Some(&deleted), ada).await;
    tables.delete(&deleted).await;

    assert_eq!(account::remove(&tables, &tables.late(), ada, None).await.unwrap().as_deref(), Some("#"));
    assert_eq!(account::remove(&tables, &tables.sweep(), ada, Some("#".to_owned())).await.unwrap(), None);
    let census = tables.census().await;
    census.is_exact();
    assert!(!census.json().contains(&ada.to_string()) && !census.json().contains(&own.to_string()), "{}", census.json());
    assert!(!census.has_trace_of(ada) && census.has_trace_of(bob));
    // His and cyd's comments, each with his reply.
    assert_eq!(number_now(&tables.comments, his).await.unwrap(), 4);
    // A second time there is nothing to do.
    assert_eq!(account::remove(&tables, &tables.sweep(), ada, None).await.unwrap(), None);
    assert_eq!(tables.census().await.json(), census.json());
}

#[tokio::test]
async fn what_a_person_has_written_is_found_page_by_page_each_once() {
    let tables = world().await;
    let [ada, bob] = people();
    let mut written = Vec::new();
    for _ in 0..3 {
        let top = tables.write(PostId::new(), None, ada).await;
        written.extend([top.id, tables.write(top.post_id, Some(&top), ada).await.id]);
        tables.write(top.post_id, Some(&top), bob).await;
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (keys, next) = comments::written_after(&tables.comments, ada, after.as_ref(), 2).await.unwrap();
        assert!(keys.len() <= 2);
        found.extend(comments::all_at(&tables.comments, &keys).await.unwrap().into_iter().map(|comment| comment.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, written);
}

fn sample(name: &str) -> What {
    let path = format!("{}/../../events/comments-worker/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let event: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    serde_json::from_str::<Event>(event["Records"][0]["body"].as_str().unwrap()).unwrap().what
}

#[tokio::test]
async fn a_message_about_what_is_gone_is_done_and_one_that_is_no_concern_of_comments_is_put_aside() {
    let tables = world().await;
    let nowhere = Sender::new(aws_sdk_sqs::Client::from_conf(aws_sdk_sqs::Config::builder().behavior_version_latest().build()), "none");
    process(&tables, &nowhere, sample("comment-deleted")).await.unwrap();
    let Err(Failure::ForEver(reason)) = process(&tables, &nowhere, sample("poison")).await else { panic!("it would only come again") };
    assert_eq!(reason, "comments do not follow follow.changed");
}
