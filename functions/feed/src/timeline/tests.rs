//! A feed of twenty posts in an embedded database: what it costs once its cards are remembered, what of it is never remembered, and what is
//! left of it while a table fails. The figures of `docs/BENCHMARKS.md`.

use aws_config::{SdkConfig, retry::RetryConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider},
};
use dynoxide::Database;
use serde_json::json;
use telemetry::{Outcome, Work};
use tintype_buckets::PrivateMedia;
use tintype_core::{
    CommentId,
    comment::Comment,
    media::Place,
    patch::Patch,
    post::{ContentType, Draft, Edit, Photo, Post, Rendition, Variant},
    profile::ProfileCard,
};
use tintype_tables::{
    Table,
    cards::Cards,
    comments,
    graph::{connect, disconnect},
    memory::{JUST_NOW, Life},
    posts::{self, marks},
    table::Item,
    users,
    writes::Transaction,
};
use tokio::net::TcpListener;

use super::*;

async fn tables() -> Tables {
    let database = Database::memory().unwrap();
    let string = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let key = |pk: &str, sk: &str| json!([{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}]);
    for name in ["users", "posts", "comments", "feeds"] {
        let request = json!({
            "TableName": name, "KeySchema": key("pk", "sk"), "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": (["pk", "sk", "marked", "marked_at"].map(string)),
            "GlobalSecondaryIndexes": [{"IndexName": "ByMark", "KeySchema": key("marked", "marked_at"), "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        });
        database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let table = |name| table(name, &endpoint);
    let credentials = Credentials::new("an-access-key", "a-secret-key", None, None, "test");
    let aws = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    Tables {
        users: table("users"),
        posts: table("posts"),
        comments: table("comments"),
        feeds: table("feeds"),
        cards: Cards::lasting(Life::default()),
        media: PrivateMedia::new(&aws, "media"),
    }
}

fn table(name: &str, endpoint: &str) -> Table {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint);
    Table { client: Client::from_conf(config.build()), name: name.to_owned() }
}

/// A table that takes what it is asked and never answers.
fn hanging(name: &str) -> Table {
    let listener = Box::leak(Box::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap()));
    table(name, &format!("http://{}", listener.local_addr().unwrap()))
}

/// A table that can't be reached: nobody listens at this port.
fn down(name: &str) -> Table {
    table(name, "http://127.0.0.1:9")
}

impl Tables {
    /// The same tables, and another process that remembers nothing yet.
    fn elsewhere(&self) -> Self {
        Self { cards: Cards::lasting(Life::default()), ..self.clone() }
    }

    async fn sign_up(&self, name: &str) -> UserId {
        let id = UserId::new();
        self.call(id, name).await;
        id
    }

    async fn call(&self, id: UserId, name: &str) {
        let card = ProfileCard { id, username: name.parse().unwrap(), display_name: name.to_owned(), is_private: false, avatar: None };
        let mut item: Item = serde_dynamo::to_item(card).unwrap();
        item.extend(users::profile(id).item());
        self.users.client.put_item().table_name("users").set_item(Some(item)).send().await.unwrap();
    }

    /// Published, and in the timelines of these people.
    async fn publish(&self, author_id: UserId, viewers: &[UserId]) -> Post {
        let photos = vec![Photo::announced(ContentType::Jpeg, 1, Some("a walk in the hills".to_owned()), "00".repeat(16))];
        let draft = Draft { author_id, caption: "What a day! #hills".repeat(5), location: None, comments_enabled: true, photos };
        let post = Post::new(draft, Time::now());
        let id = post.id;
        posts::create(&self.posts, post).await.unwrap();
        let variant = |name: &str| Variant { name: name.to_owned(), width: 640, height: 480, bytes: 54_321 };
        let variants = ["thumb", "w320", "w640", "w1080", "w1440"].map(variant).to_vec();
        let rendition = Rendition { width: 4000, height: 3000, blurhash: "LEHV6nWB2yk8pyo0adR*.7kCMdnj".to_owned(), variants };
        let post = posts::finish_photo(&self.posts, id, 0, rendition, Place::Public, Time::now()).await.unwrap().unwrap().post;
        for viewer in viewers {
            let entry = Entry::new(*viewer, id, author_id, post.published_at.unwrap(), Time::now());
            let item: Item = serde_dynamo::to_item(entry).unwrap();
            self.feeds.client.put_item().table_name("feeds").set_item(Some(item)).send().await.unwrap();
        }
        post
    }

    async fn comment(&self, post_id: PostId, author_id: UserId) -> CommentId {
        let id = CommentId::new();
        let text = "Lovely".to_owned();
        let comment =
            Comment { id, post_id, parent_id: None, author_id, text, mentions: vec![], created_at: Time::now(), likes: 0, reply_count: 0 };
        comments::create(&self.comments, &comment, Time::now()).await.unwrap();
        id
    }

    async fn try_feed(&self, viewer: UserId) -> Result<Vec<PostView>, Error> {
        let private = self.media.keyring().await.unwrap();
        Ok(read(self, viewer, None, 20, &private).await?.0)
    }

    async fn feed(&self, viewer: UserId) -> Vec<PostView> {
        self.try_feed(viewer).await.unwrap()
    }

    /// Likes and comments of the newest post, as `viewer` sees them.
    async fn counts(&self, viewer: UserId) -> [u64; 2] {
        let counts = self.feed(viewer).await[0].counts;
        [counts.likes, counts.comments]
    }
}

/// What some work has put on its line: read units, requests, and what is degraded.
async fn line<T>(work: impl Future<Output = T>) -> (T, f64, f64, Vec<String>) {
    let of = Work {
        service: "test",
        operation: "test".to_owned(),
        request_id: String::new(),
        trace_id: "Root=1-691f0f2a-5f1c2d3e4f5a6b7c8d9e0f1a".to_owned(),
    };
    let measured = async {
        let result = work.await;
        (result, telemetry::number("dynamodb.read_units"), telemetry::number("dynamodb.reads"), telemetry::degraded())
    };
    telemetry::observe(of, measured, |_| Outcome::Ok).await
}

/// Twenty posts of five people in the timeline of somebody who likes three of them.
async fn full() -> (Tables, UserId, Vec<UserId>, Vec<Post>) {
    let tables = tables().await;
    let viewer = tables.sign_up("viewer").await;
    let mut authors = Vec::new();
    for name in ["ada", "bob", "cho", "dag", "eve"] {
        authors.push(tables.sign_up(name).await);
    }
    let mut published = Vec::new();
    for number in 0..20 {
        published.push(tables.publish(authors[number % 5], &[viewer]).await);
    }
    for post in &published[..3] {
        marks::like(&tables.posts, post, viewer, Time::now().minus(JUST_NOW)).await.unwrap();
    }
    (tables, viewer, authors, published)
}

#[tokio::test]
async fn a_page_of_twenty_posts_whose_cards_are_remembered_costs_three_and_a_half_read_units_in_four_requests() {
    let (tables, viewer, ..) = full().await;
    let (first, cold, ..) = line(tables.feed(viewer)).await;
    let (again, warm, requests, _) = line(tables.feed(viewer)).await;
    assert_eq!((first.len(), again.len()), (20, 20));
    assert_eq!(again.iter().filter(|view| view.viewer.unwrap().liked).count(), 3);
    println!("a page of twenty: {cold} read units cold, {warm} warm");
    // Twenty cards of half a unit, five of people, forty counts, and what follows.
    assert!((cold - 36.0).abs() < 0.1, "{cold}");
    // Entries half a unit; fences, the viewer's marks, and whether they have commented just now, one each.
    assert!((warm - 3.5).abs() < 0.1 && (requests - 4.0).abs() < 0.1, "{warm} in {requests}");
}

#[tokio::test]
async fn whoever_likes_or_comments_or_takes_it_back_sees_the_new_count_at_once_in_every_process_and_others_as_remembered() {
    let tables = tables().await;
    let (ada, bob, cho) = (tables.sign_up("ada").await, tables.sign_up("bob").await, tables.sign_up("cho").await);
    let post = tables.publish(ada, &[bob, cho]).await;
    let processes = [tables.clone(), tables.elsewhere()];
    // Whom a process has shown it to, it remembers: cho's pages before and after are the same.
    for process in &processes {
        assert_eq!(process.counts(cho).await, [0, 0]);
    }
    let sees = async |wanted: [u64; 2]| {
        for process in &processes {
            assert_eq!(process.counts(bob).await, wanted);
        }
    };
    marks::like(&tables.posts, &post, bob, Time::now()).await.unwrap();
    sees([1, 0]).await;
    marks::unlike(&tables.posts, post.id, bob, Time::now()).await.unwrap();
    sees([0, 0]).await;
    let comment = tables.comment(post.id, bob).await;
    sees([0, 1]).await;
    comments::delete(&tables.comments, comment, Some(bob), Time::now()).await.unwrap();
    sees([0, 0]).await;
    // An author who deletes another's comment sees that, too.
    let comment = tables.comment(post.id, bob).await;
    let hers = tables.publish(ada, &[ada]).await;
    assert_eq!(tables.feed(ada).await[0].id, hers.id);
    comments::delete(&tables.comments, comment, Some(ada), Time::now()).await.unwrap();
    sees([0, 0]).await;
}

#[tokio::test]
async fn whoever_deletes_or_edits_their_post_or_changes_their_name_sees_that_at_once_also_where_it_is_remembered() {
    let tables = tables().await;
    let (ada, bob) = (tables.sign_up("ada").await, tables.sign_up("bob").await);
    let (kept, gone) = (tables.publish(ada, &[ada, bob]).await, tables.publish(ada, &[ada, bob]).await);
    assert_eq!((tables.feed(bob).await.len(), tables.feed(ada).await.len()), (2, 2));
    posts::delete(&tables.posts, gone.id, Time::now()).await.unwrap();
    let edit = Edit { caption: Patch::Set("Edited".to_owned()), ..Edit::default() };
    posts::edit(&tables.posts, kept.id, &edit, Time::now()).await.unwrap();
    tables.call(ada, "countess").await;
    let hers = tables.feed(ada).await;
    let said: Vec<_> = hers.iter().map(|view| (view.id, view.caption.as_str(), view.author.display_name.as_str())).collect();
    assert_eq!(said, [(kept.id, "Edited", "countess")]);
    // What she has read anew is remembered for others.
    assert_eq!(tables.feed(bob).await.iter().map(|view| view.id).collect::<Vec<_>>(), [kept.id]);
}

#[tokio::test]
async fn an_unfollow_hides_at_once_what_is_remembered() {
    let tables = tables().await;
    let (ada, bob) = (tables.sign_up("ada").await, tables.sign_up("bob").await);
    let follow = async |ends: bool| {
        let mut transaction = Transaction::default();
        if ends {
            disconnect(&mut transaction, &tables.users, bob, ada, Time::now());
        } else {
            connect(&mut transaction, &tables.users, bob, ada, false, Time::now());
        }
        transaction.commit(&tables.users).await.unwrap();
    };
    follow(false).await;
    tables.publish(ada, &[bob]).await;
    assert_eq!(tables.feed(bob).await.len(), 1);
    follow(true).await;
    assert_eq!(tables.feed(bob).await.len(), 0);
    // Nor is it shown because a table fails: without fences there is no page.
    let blind = Tables { users: down("users"), ..tables.clone() };
    assert!(matches!(blind.try_feed(bob).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn while_the_posts_can_not_be_read_the_page_is_what_is_remembered_and_says_so() {
    let (tables, viewer, ..) = full().await;
    let all = tables.feed(viewer).await;
    let own = tables.publish(viewer, &[viewer]).await;
    let newcomer = tables.elsewhere();
    // The last of twenty does not fit any more beside the viewer's own: the newcomer has never seen it.
    assert_eq!((tables.feed(viewer).await[0].id, newcomer.feed(viewer).await.len()), (own.id, 20));
    let failing = Tables { posts: down("posts"), ..tables.clone() };
    let (page, _, _, degraded) = line(failing.feed(viewer)).await;
    // The viewer may have deleted their own since.
    // It is not filled up.
    assert_eq!(page.iter().map(|view| view.id).collect::<Vec<_>>(), all[..19].iter().map(|view| view.id).collect::<Vec<_>>());
    assert!(page.iter().all(|view| view.viewer.is_none()));
    assert_eq!(degraded.into_iter().collect::<HashSet<_>>(), ["posts", "viewer"].map(str::to_owned).into());
    let private = failing.media.keyring().await.unwrap();
    let newcomer = Tables { posts: down("posts"), ..newcomer };
    let (result, ..) = line(read(&newcomer, viewer, None, 20, &private)).await;
    let (page, next) = result.unwrap();
    assert_eq!(page.len(), 19);
    assert!(
        read(&tables, viewer, next, 20, &private).await.unwrap().0.iter().map(|view| view.id).eq([all[19].id]),
        "it goes on where it broke off"
    );
    // It works again, and says nothing.
    let (page, _, _, degraded) = line(tables.feed(viewer)).await;
    assert!(page[0].id == own.id && page.iter().all(|view| view.viewer.is_some()) && degraded.is_empty());
    // Who remembers nothing has nothing to show.
    assert!(matches!(failing.elsewhere().try_feed(viewer).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn the_page_after_one_from_which_something_is_missing_begins_with_that() {
    let tables = tables().await;
    let (ada, bob) = (tables.sign_up("ada").await, tables.sign_up("bob").await);
    let mut posts = Vec::new();
    for number in 0..4 {
        let viewers: &[UserId] = if number % 2 == 0 { &[bob] } else { &[] };
        posts.push(tables.publish(ada, viewers).await);
    }
    let ids = |page: &[PostView]| page.iter().map(|view| view.id).collect::<Vec<_>>();
    assert_eq!(ids(&tables.feed(bob).await), [posts[2].id, posts[0].id]);
    for late in [&posts[1], &posts[3]] {
        let entry = Entry::new(bob, late.id, ada, late.published_at.unwrap(), Time::now());
        let item: Item = serde_dynamo::to_item(entry).unwrap();
        tables.feeds.client.put_item().table_name("feeds").set_item(Some(item)).send().await.unwrap();
    }
    let private = tables.media.keyring().await.unwrap();
    for failing in [down("posts"), hanging("posts")] {
        let failing = Tables { posts: failing, ..tables.clone() };
        let (result, _, _, degraded) = line(read(&failing, bob, None, 4, &private)).await;
        let (page, next) = result.unwrap();
        assert_eq!((ids(&page), degraded.contains(&"posts".to_owned())), (vec![posts[2].id, posts[0].id], true));
        let (result, ..) = line(read(&failing, bob, next.clone(), 4, &private)).await;
        assert_eq!(ids(&result.unwrap().0), [posts[0].id], "nobody is kept at what can't be read");
        assert_eq!(ids(&read(&tables.elsewhere(), bob, next, 4, &private).await.unwrap().0), [posts[1].id, posts[0].id]);
    }
}

#[tokio::test]
async fn a_table_that_does_not_answer_delays_a_page_that_is_remembered_by_half_a_second_at_most() {
    let (tables, viewer, ..) = full().await;
    let all = tables.feed(viewer).await;
    tables.publish(viewer, &[viewer]).await;
    for (failing, expected) in [
        (Tables { posts: hanging("posts"), ..tables.clone() }, &["posts", "viewer"][..]),
        (Tables { comments: hanging("comments"), ..tables.clone() }, &["comments"][..]),
    ] {
        let started = std::time::Instant::now();
        let (page, _, _, degraded) = line(failing.feed(viewer)).await;
        assert!(started.elapsed().as_millis() < 700, "{:?}", started.elapsed());
        assert_eq!((page.len() >= 19, page.last().map(|view| view.id)), (true, Some(all[18].id)));
        assert!(expected.iter().all(|what| degraded.contains(&(*what).to_owned())), "{degraded:?}");
    }
}

#[tokio::test]
async fn while_comments_can_not_be_counted_the_page_has_the_counts_that_are_remembered() {
    let (tables, viewer, authors, published) = full().await;
    tables.comment(published[19].id, authors[0]).await;
    assert_eq!(tables.counts(viewer).await, [0, 1]);
    let failing = Tables { comments: down("comments"), ..tables.clone() };
    let (page, _, _, degraded) = line(failing.feed(viewer)).await;
    assert_eq!((page.len(), page[0].counts.comments, degraded), (20, 1, vec!["comments".to_owned()]));
    assert!(page.iter().all(|view| view.viewer.is_some()));
}
