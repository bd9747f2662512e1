//! Inboxes in an embedded database: what is told, what is not, what it costs, and what ends at the worst moment.

use std::collections::BTreeMap;

use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use serde_json::{Value, json};
use tintype_core::{
    CommentId, PostId, Time, UserId,
    comment::Comment,
    event::Event,
    media::Place,
    notification::{Kind, LIFETIME, Note},
    post::{ContentType, Draft, Photo, Post, Rendition},
    profile::ProfileCard,
};
use tintype_tables::{
    Key, comments, graph,
    notifications::{self, mark_read, unread},
    posts::{self, marks},
    table::{Item, text},
    users,
    writes::Transaction,
};
use tintype_telemetry::{Outcome, Work, number, observe};
use tokio::net::TcpListener;

use super::*;

mod counting;
mod gone;

/// Empty tables, as the template has them.
async fn stores() -> Stores {
    let database = Database::memory().unwrap();
    let index = |name: &str, hash: &str, range: &str| {
        let key = json!([{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}]);
        json!({"IndexName": name, "KeySchema": key, "Projection": {"ProjectionType": "KEYS_ONLY"}})
    };
    let mut tables = vec![("users", vec![], vec![]), ("posts", vec![], vec![]), ("comments", vec![], vec![])];
    let indexes = vec![index("ByActor", "actor_id", "pk"), index("ByPost", "post_id", "about")];
    tables.push(("notifications", vec!["actor_id", "post_id", "about"], indexes));
    for (name, attributes, indexes) in tables {
        let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
        let attributes = ["pk", "sk"].into_iter().chain(attributes).map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
        let attributes: Vec<Value> = attributes.collect();
        let mut request =
            json!({"TableName": name, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"});
        if !indexes.is_empty() {
            request["GlobalSecondaryIndexes"] = indexes.into();
        }
        database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    stores_at(&endpoint)
}

fn stores_at(endpoint: &str) -> Stores {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    let client = Client::from_conf(config);
    let table = |name: &str| Table { client: client.clone(), name: name.to_owned() };
    Stores {
        users: table("users"),
        posts: table("posts"),
        comments: table("comments"),
        notifications: table("notifications"),
        turns: Turns::default(),
    }
}

/// A queue that nobody answers for: only a removal says anything.
fn nowhere() -> Sender {
    let config = aws_sdk_sqs::Config::builder().behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest()).build();
    Sender::new(aws_sdk_sqs::Client::from_conf(config), "none")
}

impl Stores {
    async fn tell(&self, what: What) {
        process(self, &nowhere(), what).await.unwrap();
    }

    async fn put(&self, item: Item) {
        self.users.client.put_item().table_name("users").set_item(Some(item)).send().await.unwrap();
    }

    async fn remove(&self, key: Key) {
        self.users.client.delete_item().table_name("users").set_key(Some(key.item())).send().await.unwrap();
    }

    async fn sign_up(&self, name: &str) -> UserId {
        self.sign_up_as(UserId::new(), name).await
    }

    async fn sign_up_as(&self, id: UserId, name: &str) -> UserId {
        let username: tintype_core::name::Username = name.parse().unwrap();
        let card = ProfileCard { id, username: username.clone(), display_name: name.to_owned(), is_private: false, avatar: None };
        let mut item: Item = serde_dynamo::to_item(card).unwrap();
        item.extend(users::profile(id).item());
        self.put(item).await;
        let mut claim = users::name(&username).item();
        claim.insert("user_id".to_owned(), text(id.to_string()));
        self.put(claim).await;
        id
    }

    async fn follow(&self, follower: UserId, followee: UserId) -> What {
        let mut transaction = Transaction::default();
        graph::connect(&mut transaction, &self.users, follower, followee, false, Time::now());
        transaction.commit(&self.users).await.unwrap();
        What::FollowChanged { follower_id: follower, followee_id: followee, approved: false }
    }

    async fn publish(&self, author_id: UserId, caption: &str) -> Post {
        let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
        let draft = Draft { author_id, caption: caption.to_owned(), location: None, comments_enabled: true, photos };
        self.publish_it(Post::new(draft, Time::now())).await
    }

    async fn publish_it(&self, post: Post) -> Post {
        posts::create(&self.posts, post.clone()).await.unwrap();
        let rendition = Rendition { width: 1, height: 1, blurhash: String::new(), variants: vec![] };
        posts::finish_photo(&self.posts, post.id, 0, rendition, Place::Public, Time::now()).await.unwrap().unwrap().post
    }

    async fn like(&self, user_id: UserId, post: &Post) -> What {
        marks::like(&self.posts, post, user_id, Time::now()).await.unwrap();
        What::PostLiked { post_id: post.id, author_id: post.author_id, user_id }
    }

    async fn comment(&self, author_id: UserId, post_id: PostId, parent_id: Option<CommentId>, words: &str) -> (Comment, What) {
        let comment = Comment {
            id: CommentId::new(),
            post_id,
            parent_id,
            author_id,
            text: words.to_owned(),
            mentions: tintype_core::text::mentions(words),
            created_at: Time::now(),
            likes: 0,
            reply_count: 0,
        };
        comments::create(&self.comments, &comment, Time::now()).await.unwrap();
        let what = What::CommentCreated { comment_id: comment.id, post_id, parent_id, author_id };
        (comment, what)
    }

    async fn notes(&self, recipient: UserId) -> Vec<Note> {
        notifications::page(&self.notifications, recipient, None, 100).await.unwrap().items
    }

    async fn wants_no(&self, user: UserId, kind: Kind) {
        let set = self.users.client.update_item().table_name("users").set_key(Some(users::profile(user).item()));
        let off = aws_sdk_dynamodb::types::AttributeValue::Bool(false);
        let set = set.update_expression("SET #kind = :off").expression_attribute_names("#kind", format!("notify_{}", kind.as_str()));
        set.expression_attribute_values(":off", off).send().await.unwrap();
    }

    /// What somebody was told, newest first, and how much of it is unread.
    async fn told(&self, recipient: UserId) -> (Vec<(Kind, u64)>, u64) {
        let notes = self.notes(recipient).await.iter().map(|note| (note.kind, note.actor_count)).collect();
        (notes, unread(&self.notifications, recipient, Time::now()).await.unwrap())
    }
}

#[tokio::test]
async fn of_one_cause_somebody_is_told_once_however_often_its_message_comes() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let post = stores.publish(ada, "").await;
    let (liked, followed) = (stores.like(bob, &post).await, stores.follow(bob, ada).await);
    for what in [&liked, &followed, &liked, &followed, &liked] {
        stores.tell(what.clone()).await;
    }
    assert_eq!(stores.told(ada).await, (vec![(Kind::Follow, 1), (Kind::Like, 1)], 2));
    // Taken back and given again it is the same cause.
    marks::unlike(&stores.posts, post.id, bob, Time::now()).await.unwrap();
    let again = stores.like(bob, &post).await;
    stores.tell(again).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Follow, 1), (Kind::Like, 1)], 2));
    assert_eq!(stores.told(bob).await, (vec![], 0));
}

#[tokio::test]
async fn what_was_taken_back_before_its_message_came_is_told_to_nobody() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let post = stores.publish(ada, "").await;
    let liked = stores.like(bob, &post).await;
    marks::unlike(&stores.posts, post.id, bob, Time::now()).await.unwrap();
    let (comment, commented) = stores.comment(bob, post.id, None, "well").await;
    comments::delete(&stores.comments, comment.id, None, Time::now()).await.unwrap();
    let mentioned = stores.publish(bob, "with @ada").await;
    posts::delete(&stores.posts, mentioned.id, Time::now()).await.unwrap();
    let published = What::PostPublished { post_id: mentioned.id, author_id: bob, published_at: mentioned.published_at.unwrap() };
    let requested = What::FollowRequested { follower_id: bob, followee_id: ada };
    let followed = What::FollowChanged { follower_id: bob, followee_id: ada, approved: false };
    let failed = What::PostFailed { post_id: post.id, author_id: ada };
    let ready = What::ExportReady { user_id: ada, job_id: tintype_core::JobId::new() };
    for what in [liked, commented, published, requested, followed, failed, ready] {
        stores.tell(what).await;
    }
    assert_eq!(stores.told(ada).await, (vec![], 0));
}

#[tokio::test]
async fn nobody_is_told_of_whom_they_have_muted_or_blocked_or_are_blocked_by_or_of_what_they_do_not_want_or_do_themselves() {
    let stores = stores().await;
    let ada = stores.sign_up("ada").await;
    let post = stores.publish(ada, "").await;
    let (muted, blocked, blocking) = (stores.sign_up("mut").await, stores.sign_up("bad").await, stores.sign_up("bbb").await);
    for key in [users::muting(ada, muted), users::blocking(ada, blocked), users::blocked(ada, blocking)] {
        stores.put(key.item()).await;
    }
    for actor in [muted, blocked, blocking, ada] {
        for what in [stores.like(actor, &post).await, stores.comment(actor, post.id, None, "@ada").await.1] {
            stores.tell(what).await;
        }
    }
    assert_eq!(stores.told(ada).await, (vec![], 0));
    // Whoever wants no likes is told of comments all the same.
    stores.wants_no(ada, Kind::Like).await;
    let bob = stores.sign_up("bob").await;
    for what in [stores.like(bob, &post).await, stores.comment(bob, post.id, None, "well").await.1] {
        stores.tell(what).await;
    }
    assert_eq!(stores.told(ada).await, (vec![(Kind::Comment, 1)], 1));
}

#[tokio::test]
async fn a_comment_is_told_once_to_each_whose_comment_it_answers_else_whom_it_mentions_else_whose_post_it_is() {
    let stores = stores().await;
    let (ada, bob, cyd) = (stores.sign_up("ada").await, stores.sign_up("bob").await, stores.sign_up("cyd").await);
    let dan = stores.sign_up("dan").await;
    let post = stores.publish(ada, "").await;
    let (parent, said) = stores.comment(bob, post.id, None, "first").await;
    stores.tell(said).await;
    // Bob is answered and mentioned, Ada mentioned and the author, Dan is mentioned, Cyd mentions herself.
    let (reply, said) = stores.comment(cyd, post.id, Some(parent.id), "@bob @ada @dan @cyd @nobody.there").await;
    stores.tell(said.clone()).await;
    stores.tell(said).await;
    assert_eq!(stores.told(bob).await, (vec![(Kind::Reply, 1)], 1));
    assert_eq!(stores.told(ada).await, (vec![(Kind::Mention, 1), (Kind::Comment, 1)], 2));
    assert_eq!(stores.told(dan).await, (vec![(Kind::Mention, 1)], 1));
    assert_eq!(stores.told(cyd).await, (vec![], 0));
    let note = &stores.notes(dan).await[0];
    assert_eq!((note.post_id, note.comment_id), (Some(post.id), Some(reply.id)));
    assert_eq!(note.excerpt.as_deref(), Some("@bob @ada @dan @cyd @nobody.there"));
    // The thread is deleted, with the reply in it.
    comments::delete(&stores.comments, parent.id, None, Time::now()).await.unwrap();
    stores.tell(What::CommentDeleted { comment_id: parent.id, post_id: post.id, parent_id: None }).await;
    for person in [ada, bob, cyd, dan] {
        assert_eq!(stores.told(person).await, (vec![], 0));
    }
}

#[tokio::test]
async fn of_a_comment_somebody_is_told_as_what_they_want_to_be_told_and_once() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let post = stores.publish(ada, "").await;
    let own = stores.comment(ada, post.id, None, "well").await.0;
    stores.wants_no(ada, Kind::Mention).await;
    let nice = stores.comment(bob, post.id, None, "@ada nice").await.1;
    stores.tell(nice.clone()).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Comment, 1)], 1));
    let answered = stores.comment(bob, post.id, Some(own.id), "@ada nice").await.1;
    stores.tell(answered.clone()).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::Reply, 1), (Kind::Comment, 1)], 2));
    // The same messages after she has changed her mind are no news.
    stores.wants_no(ada, Kind::Reply).await;
    for what in [nice, answered] {
        stores.tell(what).await;
    }
    assert_eq!(stores.told(ada).await, (vec![(Kind::Reply, 1), (Kind::Comment, 1)], 2));
    for kind in [Kind::Comment, Kind::Mention] {
        stores.wants_no(ada, kind).await;
    }
    let unwanted = stores.comment(bob, post.id, Some(own.id), "@ada again").await.1;
    stores.tell(unwanted).await;
    assert_eq!(stores.told(ada).await.1, 2);
}

#[tokio::test]
async fn a_request_is_told_while_it_waits_and_an_approval_to_whoever_asked() {
    let stores = stores().await;
    let (ada, bob) = (stores.sign_up("ada").await, stores.sign_up("bob").await);
    let requested = What::FollowRequested { follower_id: bob, followee_id: ada };
    let changed = |approved| What::FollowChanged { follower_id: bob, followee_id: ada, approved };
    let ask = async || {
        stores.put(users::requested(bob, ada).item()).await;
        stores.put(users::request(ada, bob).item()).await;
        stores.tell(requested.clone()).await;
    };
    ask().await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::FollowRequest, 1)], 1));
    // Withdrawn, or refused.
    let mut transaction = Transaction::default();
    graph::withdraw(&mut transaction, &stores.users, bob, ada, Time::now());
    transaction.commit(&stores.users).await.unwrap();
    stores.tell(changed(false)).await;
    stores.tell(requested.clone()).await;
    assert_eq!(stores.told(ada).await, (vec![], 0));
    // Asked again, it is a request of its own, also if the message of what was before comes late.
    ask().await;
    stores.tell(changed(false)).await;
    assert_eq!(stores.told(ada).await, (vec![(Kind::FollowRequest, 1)], 1));
    assert!(graph::approve(&stores.users, ada, bob, graph::Approval::Given, Time::now()).await.unwrap());
    for _ in 0..2 {
        stores.tell(changed(true)).await;
    }
    assert_eq!(stores.told(ada).await, (vec![], 0));
    assert_eq!(stores.told(bob).await, (vec![(Kind::FollowAccepted, 1)], 1));
    // The follow ends, and with it what was approved. The next approval is another.
    let mut transaction = Transaction::default();
    graph::disconnect(&mut transaction, &stores.users, bob, ada, Time::now());
    transaction.commit(&stores.users).await.unwrap();
    stores.tell(changed(false)).await;
    assert_eq!(stores.told(bob).await, (vec![], 0));
    ask().await;
    assert!(graph::approve(&stores.users, ada, bob, graph::Approval::Given, Time::now()).await.unwrap());
    for approved in [true, false, true] {
        stores.tell(changed(approved)).await;
        assert_eq!(stores.told(bob).await, (vec![(Kind::FollowAccepted, 1)], 1));
    }
}

#[tokio::test]
async fn whoever_may_not_see_the_post_is_not_told_of_it() {
    let stores = stores().await;
    let (ada, bob, cyd) = (stores.sign_up("ada").await, stores.sign_up("bob").await, stores.sign_up("cyd").await);
    let private = aws_sdk_dynamodb::types::AttributeValue::Bool(true);
    let set = stores.users.client.update_item().table_name("users").set_key(Some(users::profile(ada).item()));
    set.update_expression("SET is_private = :yes").expression_attribute_values(":yes", private).send().await.unwrap();
    stores.follow(bob, ada).await;
    let post = stores.publish(ada, "@bob and @cyd").await;
    let published = What::PostPublished { post_id: post.id, author_id: ada, published_at: post.published_at.unwrap() };
    stores.tell(published).await;
    let said = stores.comment(bob, post.id, None, "@cyd").await.1;
    stores.tell(said).await;
    assert_eq!(stores.told(bob).await, (vec![(Kind::Mention, 1)], 1));
    assert_eq!(stores.told(cyd).await, (vec![], 0));
}

#[tokio::test]
async fn the_sample_events_are_told_and_what_nobody_is_notified_of_is_buried() {
    let bodies = |name: &str| {
        let path = format!("{}/../../events/notifier/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: SqsEvent = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        event.records.into_iter().map(|message| serde_json::from_str::<Event>(&message.body.unwrap()).unwrap().what).collect::<Vec<_>>()
    };
    let stores = stores().await;
    // The world as the samples have it.
    let samples = bodies("follow-and-like");
    let [What::FollowChanged { follower_id, followee_id, .. }, What::PostLiked { post_id, author_id, user_id }] = samples[..] else {
        panic!("{samples:?}")
    };
    assert_eq!((follower_id, followee_id), (user_id, author_id));
    for (id, name) in [(author_id, "ada"), (user_id, "bob")] {
        stores.sign_up_as(id, name).await;
    }
    let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
    let draft = Draft { author_id, caption: String::new(), location: None, comments_enabled: true, photos };
    let post = stores.publish_it(Post { id: post_id, ..Post::new(draft, Time::now()) }).await;
    stores.follow(user_id, author_id).await;
    stores.like(user_id, &post).await;
    for what in samples {
        stores.tell(what).await;
    }
    assert_eq!(stores.told(author_id).await, (vec![(Kind::Like, 1), (Kind::Follow, 1)], 2));
    for what in bodies("poison") {
        let Err(Failure::ForEver(reason)) = process(&stores, &nowhere(), what).await else { panic!("it would come again") };
        assert_eq!(reason, "nobody is notified of privacy.changed");
    }
}
