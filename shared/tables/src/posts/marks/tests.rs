//! Likes and saves in an embedded database: whatever crosses or is repeated, counts equal likes.

use std::{cell::Cell, collections::HashSet};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use dynoxide::Database;
use futures::future::join_all;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use telemetry::{Outcome, Work};
use tintype_core::post::{ContentType, Draft, Photo};
use tokio::{net::TcpListener, runtime::Runtime};

use super::*;
use crate::{cards::Cards, memory::Life, reception};

/// An empty Posts table, as the template has it.
pub(in crate::posts) async fn empty_table() -> Table {
    let database = Database::memory().unwrap();
    let index = |name: &str, hash: &str, range: &str| {
        json!({
            "IndexName": name,
            "KeySchema": [{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        })
    };
    let attributes = ["pk", "sk", "unfinished", "deadline", "marked", "marked_at"];
    let request = json!({
        "TableName": "posts",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes.map(|name| json!({"AttributeName": name, "AttributeType": "S"})),
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [index("ByDeadline", "unfinished", "deadline"), index("ByMark", "marked", "marked_at")],
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
    Table { client: Client::from_conf(config), name: "posts".to_owned() }
}

pub(in crate::posts) fn post() -> Post {
    let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
    let draft = Draft { author_id: UserId::new(), caption: String::new(), location: None, comments_enabled: true, photos };
    Post::new(draft, Time::now())
}

/// All keys there are.
async fn everything(table: &Table) -> Vec<String> {
    let items = table.client.scan().table_name("posts").send().await.unwrap().items.unwrap_or_default();
    let keys = items.into_iter().map(|item| serde_dynamo::from_item::<_, Key>(item).unwrap());
    keys.map(|Key { pk, sk }| format!("{pk} {sk}")).collect()
}

async fn likers(table: &Table, post: PostId) -> Vec<UserId> {
    likers_but(table, post, None, 100, |_| false).await.unwrap().items
}

/// What a piece of work writes and reads, in units.
async fn cost<T>(work: impl Future<Output = T>) -> (T, f64, f64) {
    let of = Work {
        service: "test",
        operation: "test".to_owned(),
        request_id: String::new(),
        trace_id: "Root=1-691f0f2a-5f1c2d3e4f5a6b7c8d9e0f1a".to_owned(),
    };
    let measured = async { (work.await, telemetry::number("dynamodb.write_units"), telemetry::number("dynamodb.read_units")) };
    telemetry::observe(of, measured, |_| Outcome::Ok).await
}

async fn unlike(table: &Table, post: PostId, viewer: UserId) -> Result<bool, Error> {
    super::unlike(table, post, viewer, Time::now()).await
}

async fn on_page(table: &Table, viewer: UserId, ids: &[PostId]) -> Result<HashMap<PostId, Marks>, Error> {
    Ok(super::on_page(table, viewer, ids, Time::now()).await?.marks)
}

const NEVER: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_like_costs_five_write_units_and_so_does_a_save_and_taking_one_back_seven() {
    let (table, post, ada) = (empty_table().await, post(), UserId::new());
    let now = Time::now();
    // A transaction writes each item twice, and the index once.
    let (liked, writes, reads) = cost(like(&table, &post, ada, now)).await;
    assert!(liked.unwrap());
    assert_eq!((writes, reads), (5.0, 0.0));
    let (unliked, writes, reads) = cost(unlike(&table, post.id, ada)).await;
    assert!(unliked.unwrap());
    assert_eq!((writes, reads), (7.0, 0.0), "and the trace of it");
    let (saved, writes, reads) = cost(save(&table, post.id, ada, now)).await;
    assert!(saved.unwrap());
    assert_eq!((writes, reads), (5.0, 0.0));
    let (unsaved, writes, reads) = cost(unsave(&table, post.id, ada)).await;
    assert!(unsaved.unwrap());
    assert_eq!((writes, reads), (5.0, 1.0));
}

#[tokio::test]
async fn what_a_viewer_has_marked_of_a_page_costs_one_query_of_few_units() {
    let (table, ada) = (empty_table().await, UserId::new());
    let posts: Vec<Post> = (0..20).map(|_| post()).collect();
    let ids: Vec<PostId> = posts.iter().map(|post| post.id).collect();
    for post in posts.iter().step_by(2) {
        like(&table, post, ada, Time::now()).await.unwrap();
    }
    let (marks, _, reads) = cost(on_page(&table, ada, &ids)).await;
    assert_eq!(marks.unwrap().values().filter(|marks| marks.liked).count(), 10);
    // Ten likes of some 600 bytes: 6 KB, and 4 of them are a unit.
    assert!(reads <= 2.0, "{reads}");
    let (likes, writes, reads) = cost(likes(&table, &ids, false)).await;
    assert_eq!(likes.unwrap().values().sum::<i64>(), 10);
    assert_eq!((writes, reads), (0.0, 10.0), "half a unit each");
}

#[tokio::test]
async fn what_was_made_of_twenty_posts_costs_half_a_unit_for_each_count_and_little_more_and_remembered_only_what_is_the_viewers_own() {
    let (posts, comments, ada) = (empty_table().await, empty_table().await, UserId::new());
    let some: Vec<Post> = (0..20).map(|_| post()).collect();
    let a_while_ago = Time::now().minus(JUST_NOW);
    for post in &some {
        like(&posts, post, ada, a_while_ago).await.unwrap();
    }
    let ids: Vec<PostId> = some.iter().map(|post| post.id).collect();
    let cards = Cards::lasting(Life::default());
    let (page, _, reads) = cost(Box::pin(reception::of_page(&cards, &posts, &comments, &ids, Some(ada)))).await;
    assert!(
        page.unwrap()
            .values()
            .all(|reception| reception.counts.likes == 1 && reception.viewer == Some(Marks { liked: true, saved: false }))
    );
    // Likes and comments, twenty likes of the viewer's own, and whether they have commented just now.
    assert!(reads <= 25.0, "{reads}");
    let (again, _, reads) = cost(Box::pin(reception::of_page(&cards, &posts, &comments, &ids, Some(ada)))).await;
    assert_eq!(again.unwrap().len(), 20);
    assert!(reads <= 5.0, "{reads}");
    let (page, writes, reads) = cost(Box::pin(reception::of_page(&Cards::lasting(Life::default()), &posts, &comments, &ids, None))).await;
    assert!(page.unwrap().values().all(|reception| reception.viewer.is_none()));
    assert_eq!((writes, reads), (0.0, 20.0));
    let (_, _, reads) = cost(Box::pin(reception::of_page(&cards, &posts, &comments, &ids, None))).await;
    assert!(reads < 0.1, "all of it is remembered: {reads}");
    let (one, writes, reads) = cost(reception::now(&posts, &comments, ids[0], Some(ada))).await;
    assert_eq!(one.unwrap().counts.likes, 1);
    assert_eq!((writes, reads), (0.0, 3.0));
}

#[tokio::test]
async fn it_is_known_for_a_moment_that_somebody_has_liked_a_post_or_ceased_to_and_no_longer() {
    let (table, ada) = (empty_table().await, UserId::new());
    let posts: Vec<Post> = (0..4).map(|_| post()).collect();
    let [liked, unliked, saved, neither] = [0, 1, 2, 3].map(|number| posts[number].id);
    let (ids, now) = ([liked, unliked, saved, neither], Time::now());
    for post in &posts[..2] {
        like(&table, post, ada, now.minus(JUST_NOW)).await.unwrap();
    }
    let look = async |now| super::on_page(&table, ada, &ids, now).await.unwrap();
    assert!(look(now).await.just_now.is_empty(), "it is long ago");
    super::unlike(&table, liked, ada, now).await.unwrap();
    like(&table, &posts[0], ada, now).await.unwrap();
    super::unlike(&table, unliked, ada, now).await.unwrap();
    save(&table, saved, ada, now).await.unwrap();
    let page = look(now).await;
    assert_eq!(page.just_now, HashSet::from([liked, unliked]));
    assert_eq!(
        ids.map(|id| (page.marks[&id].liked, page.marks[&id].saved)),
        [(true, false), (false, false), (false, true), (false, false)]
    );
    let later = look(now.plus(JUST_NOW)).await;
    assert_eq!((later.just_now, later.marks), (HashSet::new(), page.marks));
}

#[tokio::test]
async fn whoever_likes_twice_has_liked_once_and_takes_it_back_once() {
    let (table, post, ada) = (empty_table().await, post(), UserId::new());
    assert!(!unlike(&table, post.id, ada).await.unwrap());
    assert!(everything(&table).await.is_empty(), "nothing was counted");
    for is_first in [true, false, false] {
        assert_eq!(like(&table, &post, ada, Time::now()).await.unwrap(), is_first);
        assert_eq!((likes_now(&table, post.id).await.unwrap(), likers(&table, post.id).await), (1, vec![ada]));
        assert!(is_liked(&table, post.id, ada).await.unwrap());
    }
    for is_first in [true, false] {
        assert_eq!(unlike(&table, post.id, ada).await.unwrap(), is_first);
        assert_eq!((likes_now(&table, post.id).await.unwrap(), likers(&table, post.id).await), (0, vec![]));
        assert!(!is_liked(&table, post.id, ada).await.unwrap());
    }
}

#[tokio::test]
async fn a_like_speaks_and_what_is_repeated_does_not_speak_again() {
    let (table, post, ada) = (empty_table().await, post(), UserId::new());
    let spoken = async || {
        let item = table.client.get_item().table_name("posts").set_key(Some(mark(Kind::Like, post.id, ada).item())).send().await.unwrap();
        item.item.unwrap()["event_id"].as_s().unwrap().clone()
    };
    like(&table, &post, ada, Time::now()).await.unwrap();
    let first = spoken().await;
    like(&table, &post, ada, Time::now()).await.unwrap();
    assert_eq!(spoken().await, first);
    unlike(&table, post.id, ada).await.unwrap();
    like(&table, &post, ada, Time::now()).await.unwrap();
    assert_ne!(spoken().await, first, "whether it is news is the listener's to know");
}

#[tokio::test]
async fn thirty_two_who_like_and_unlike_one_post_at_once_leave_as_many_likes_as_are_counted() {
    let (table, post) = (empty_table().await, post());
    let people: Vec<UserId> = (0..8).map(|_| UserId::new()).collect();
    for _ in 0..4 {
        join_all((0..32).map(async |number: usize| {
            let ada = people[fastrand::usize(..people.len())];
            if number.is_multiple_of(2) {
                like(&table, &post, ada, Time::now()).await.unwrap();
            } else {
                unlike(&table, post.id, ada).await.unwrap();
            }
        }))
        .await;
        let likers: HashSet<UserId> = likers(&table, post.id).await.into_iter().collect();
        assert_eq!(likes_now(&table, post.id).await.unwrap(), i64::try_from(likers.len()).unwrap());
        for ada in &people {
            assert_eq!(is_liked(&table, post.id, *ada).await.unwrap(), likers.contains(ada));
        }
    }
}

#[tokio::test]
async fn a_few_hundred_who_like_one_post_are_counted_by_all_shards_and_none_by_many_more_than_another() {
    #[derive(Deserialize)]
    struct Shard {
        count: i64,
    }
    let (table, post) = (empty_table().await, post());
    join_all((0..320).map(async |_| like(&table, &post, UserId::new(), Time::now()).await.unwrap())).await;
    let query = Query { pk: counts(post.id), prefix: None, after: None, descending: false, consistent: true, limit: 100 };
    let shards: Page<Shard> = table.query(query).await.unwrap();
    let counts: Vec<i64> = shards.items.iter().map(|shard| shard.count).collect();
    assert_eq!((counts.len(), counts.iter().sum::<i64>()), (usize::from(MOST_SHARDS), 320), "{counts:?}");
    // Twenty each, give or take; that chance gives one of them sixty is out of the question.
    assert!(counts.iter().all(|count| *count < 60), "{counts:?}");
}

#[tokio::test]
async fn a_saved_post_stands_once_in_the_list_where_it_was_saved_first_and_newest_saves_come_first() {
    let (table, ada) = (empty_table().await, UserId::new());
    let (one, two, three) = (post().id, post().id, post().id);
    let at = |second: i64| Time::from_millis(1_790_000_000_000 + second * 1000).unwrap();
    for (second, post) in [(1, two), (2, one), (3, two), (4, three)] {
        assert_eq!(save(&table, post, ada, at(second)).await.unwrap(), second != 3);
    }
    let list = async || saved_by(&table, ada, None, 10).await.unwrap().items;
    assert_eq!(list().await, [three, one, two]);
    let first = saved_by(&table, ada, None, 2).await.unwrap();
    let second = saved_by(&table, ada, first.next.clone(), 2).await.unwrap();
    assert_eq!((first.items, second.items, second.next), (vec![three, one], vec![two], None));
    assert!(unsave(&table, one, ada).await.unwrap() && !unsave(&table, one, ada).await.unwrap());
    assert_eq!(list().await, [three, two]);
    // Saved anew, it is the newest.
    save(&table, two, ada, at(5)).await.unwrap();
    unsave(&table, two, ada).await.unwrap();
    save(&table, two, ada, at(6)).await.unwrap();
    assert_eq!(list().await, [two, three]);
    let marks = on_page(&table, ada, &[one, two, three]).await.unwrap();
    assert_eq!([one, two, three].map(|post| marks[&post].saved), [false, true, true]);
    assert!(marks.values().all(|marks| !marks.liked));
}

#[tokio::test]
async fn a_post_that_is_saved_anew_while_it_is_being_unsaved_stays_in_the_list_and_marked() {
    let (table, post, ada) = (empty_table().await, post().id, UserId::new());
    let now = Time::now();
    save(&table, post, ada, now).await.unwrap();
    let seen = table.get::<Mark>(&mark(Kind::Save, post, ada), true).await.unwrap().unwrap().marked_at;
    unsave(&table, post, ada).await.unwrap();
    save(&table, post, ada, now.plus(Duration::from_millis(1))).await.unwrap();
    assert!(!unsave_seen(&table, post, ada, &seen).await.unwrap(), "it is time to look again");
    assert!(on_page(&table, ada, &[post]).await.unwrap()[&post].saved);
    assert_eq!(saved_by(&table, ada, None, 10).await.unwrap().items, [post]);
}

#[tokio::test]
async fn saves_and_unsaves_at_once_leave_a_list_that_says_what_the_marks_say() {
    let (table, ada) = (empty_table().await, UserId::new());
    let posts = [post().id, post().id];
    for _ in 0..4 {
        join_all((0..24).map(async |number: usize| {
            let post = posts[number / 2 % 2];
            // Those that lose too often say so, and have done nothing.
            match if number.is_multiple_of(2) { save(&table, post, ada, Time::now()).await } else { unsave(&table, post, ada).await } {
                Ok(_) | Err(Error::Conflict) => {}
                Err(error) => panic!("{error}"),
            }
        }))
        .await;
        let marks = on_page(&table, ada, &posts).await.unwrap();
        let marked: HashSet<PostId> = posts.into_iter().filter(|post| marks[post].saved).collect();
        let list = saved_by(&table, ada, None, 10).await.unwrap().items;
        assert_eq!((list.iter().copied().collect::<HashSet<_>>(), list.len()), (marked.clone(), marked.len()));
    }
}

#[tokio::test]
async fn what_was_marked_of_a_page_is_right_however_much_was_marked_in_between() {
    let (table, ada, bob) = (empty_table().await, UserId::new(), UserId::new());
    let posts: Vec<Post> = (0..60).map(|_| post()).collect();
    for (number, post) in posts.iter().enumerate() {
        if !number.is_multiple_of(3) {
            like(&table, post, ada, Time::now()).await.unwrap();
        }
        if number.is_multiple_of(2) {
            save(&table, post.id, ada, Time::now()).await.unwrap();
        }
        like(&table, post, bob, Time::now()).await.unwrap();
    }
    // A page of two posts may read 24 marks, and there are 70: the later one is read by its key. The order is the page's own.
    for page in [vec![59, 0], vec![30], vec![], (0..60).collect::<Vec<usize>>(), vec![1, 58, 2, 57]] {
        let ids: Vec<PostId> = page.iter().map(|number| posts[*number].id).collect();
        let marks = on_page(&table, ada, &ids).await.unwrap();
        assert_eq!(marks.len(), ids.len());
        for number in page {
            let expected = Marks { liked: !number.is_multiple_of(3), saved: number.is_multiple_of(2) };
            assert_eq!(marks[&posts[number].id], expected, "{number}");
        }
    }
}

#[tokio::test]
async fn likers_are_paged_newest_first_and_stay_so_while_others_come_and_go() {
    let (table, post) = (empty_table().await, post());
    let people: Vec<UserId> = (0..7).map(|_| UserId::new()).collect();
    // Several in one millisecond: no page may pass one of them over.
    for (number, person) in people.iter().enumerate() {
        let at = Time::from_millis(1_790_000_000_000 + i64::try_from(number / 3).unwrap()).unwrap();
        like(&table, &post, *person, at).await.unwrap();
    }
    let expected: Vec<UserId> = people.iter().rev().copied().collect();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = likers_but(&table, post.id, after, 2, |_| false).await.unwrap();
        assert!(page.next.as_deref().is_none_or(is_liker_key), "{:?}", page.next);
        // Whom the cursor names takes the like back, and somebody else comes.
        if let Some(last) = page.items.last() {
            unlike(&table, post.id, *last).await.unwrap();
            like(&table, &post, UserId::new(), Time::now()).await.unwrap();
        }
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_page_of_likers_names_nobody_who_is_hidden_in_its_cursor_either() {
    let (table, post) = (empty_table().await, post());
    let people: Vec<UserId> = (0..6).map(|_| UserId::new()).collect();
    for person in &people {
        like(&table, &post, *person, Time::now()).await.unwrap();
    }
    let hidden: HashSet<UserId> = people[1..5].iter().copied().collect();
    for limit in 1..4 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = likers_but(&table, post.id, after, limit, |person| hidden.contains(&person)).await.unwrap();
            found.extend(page.items);
            after = page.next;
            let Some(next) = &after else { break };
            assert!(hidden.iter().all(|person| !next.contains(&person.to_string())), "{next}");
        }
        assert_eq!(found, [people[5], people[0]], "{limit}");
    }
}

#[tokio::test]
async fn of_a_post_that_is_gone_all_marks_go_and_others_stay() {
    let (table, gone, other) = (empty_table().await, post(), post());
    let people: Vec<UserId> = (0..40).map(|_| UserId::new()).collect();
    for person in &people {
        like(&table, &gone, *person, Time::now()).await.unwrap();
        save(&table, gone.id, *person, Time::now()).await.unwrap();
    }
    like(&table, &other, people[0], Time::now()).await.unwrap();
    save(&table, other.id, people[0], Time::now()).await.unwrap();
    assert!(!remove_of_post(&table, gone.id, Instant::now()).await.unwrap(), "the time was up before");
    for _ in 0..2 {
        assert!(remove_of_post(&table, gone.id, Instant::now() + NEVER).await.unwrap());
        let left = everything(&table).await;
        assert!(left.iter().all(|key| !key.contains(&gone.id.to_string())), "{left:?}");
        assert_eq!(left.len(), 4, "a like, its count, a save and its place: {left:?}");
    }
    // Whoever takes back a like of which only the edge is left makes no count.
    like(&table, &gone, people[1], Time::now()).await.unwrap();
    table.delete(&like_count(gone.id, people[1])).await.unwrap();
    assert!(unlike(&table, gone.id, people[1]).await.unwrap());
    assert_eq!(everything(&table).await.len(), 4);
}

#[tokio::test]
async fn of_a_person_who_leaves_all_marks_go_and_counts_stay_exact() {
    let (table, ada, bob) = (empty_table().await, UserId::new(), UserId::new());
    let posts: Vec<Post> = (0..20).map(|_| post()).collect();
    for post in &posts {
        like(&table, post, ada, Time::now()).await.unwrap();
        like(&table, post, bob, Time::now()).await.unwrap();
        save(&table, post.id, ada, Time::now()).await.unwrap();
    }
    for post in &posts[..2] {
        assert!(unlike(&table, post.id, ada).await.unwrap());
    }
    let mut rounds = 0;
    while !take_back_all(&table, ada, Instant::now()).await.unwrap() {
        rounds += 1;
        assert!(rounds < 50, "each round gets on");
    }
    assert!(rounds > 1);
    let left = everything(&table).await;
    assert!(left.iter().all(|key| !key.contains(&ada.to_string())), "{left:?}");
    for post in &posts {
        assert_eq!((likes_now(&table, post.id).await.unwrap(), likers(&table, post.id).await), (1, vec![bob]));
    }
    assert!(take_back_all(&table, UserId::new(), Instant::now() + NEVER).await.unwrap());
}

/// What may happen to two posts, by two people.
#[derive(Debug, Clone, Copy)]
enum Step {
    Like(usize, usize),
    Unlike(usize, usize),
    Save(usize, usize),
    Unsave(usize, usize),
    /// The post is gone, and is swept.
    Sweep(usize),
    /// The person leaves.
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pair = || (0usize..2, 0usize..2);
    let step = prop_oneof![
        4 => pair().prop_map(|(post, person)| Step::Like(post, person)),
        3 => pair().prop_map(|(post, person)| Step::Unlike(post, person)),
        2 => pair().prop_map(|(post, person)| Step::Save(post, person)),
        2 => pair().prop_map(|(post, person)| Step::Unsave(post, person)),
        1 => (0usize..2).prop_map(Step::Sweep),
        1 => (0usize..2).prop_map(Step::Leave),
    ];
    vec(step, 1..25)
}

#[test]
fn in_whatever_order_people_like_save_and_leave_and_posts_are_swept_counts_equal_likes() {
    let runtime = Runtime::new().unwrap();
    let table = runtime.block_on(empty_table());
    let cases = Cell::new(0);
    let run = |steps: Vec<Step>| {
        cases.set(cases.get() + 1);
        runtime.block_on(async {
            let (posts, people) = ([post(), post()], [UserId::new(), UserId::new()]);
            let (mut liked, mut saved) = (HashSet::new(), HashSet::new());
            for step in steps {
                let (now, up) = (Time::now(), Instant::now() + NEVER);
                match step {
                    Step::Like(post, person) => {
                        let is_new = like(&table, &posts[post], people[person], now).await.unwrap();
                        assert_eq!(is_new, liked.insert((post, person)));
                    }
                    Step::Unlike(post, person) => {
                        let was_there = unlike(&table, posts[post].id, people[person]).await.unwrap();
                        assert_eq!(was_there, liked.remove(&(post, person)));
                    }
                    Step::Save(post, person) => {
                        let is_new = save(&table, posts[post].id, people[person], now).await.unwrap();
                        assert_eq!(is_new, saved.insert((post, person)));
                    }
                    Step::Unsave(post, person) => {
                        let was_there = unsave(&table, posts[post].id, people[person]).await.unwrap();
                        assert_eq!(was_there, saved.remove(&(post, person)));
                    }
                    Step::Sweep(gone) => {
                        assert!(remove_of_post(&table, posts[gone].id, up).await.unwrap());
                        liked.retain(|(post, _)| *post != gone);
                        saved.retain(|(post, _)| *post != gone);
                    }
                    Step::Leave(gone) => {
                        assert!(take_back_all(&table, people[gone], up).await.unwrap());
                        liked.retain(|(_, person)| *person != gone);
                        saved.retain(|(_, person)| *person != gone);
                    }
                }
            }
            for (number, post) in posts.iter().enumerate() {
                let expected = liked.iter().filter(|(post, _)| *post == number).count();
                assert_eq!(likes_now(&table, post.id).await.unwrap(), i64::try_from(expected).unwrap());
                assert_eq!(likers(&table, post.id).await.len(), expected);
                for (person, id) in people.iter().enumerate() {
                    let marks = on_page(&table, *id, &[post.id]).await.unwrap()[&post.id];
                    let expected = Marks { liked: liked.contains(&(number, person)), saved: saved.contains(&(number, person)) };
                    assert_eq!(marks, expected);
                    let list = saved_by(&table, *id, None, 10).await.unwrap().items;
                    assert_eq!(list.contains(&post.id), expected.saved);
                }
            }
        });
        Ok(())
    };
    TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(40) }).run(&steps(), run).unwrap();
    assert!(cases.get() >= 40);
}
