//! Follows, requests, approvals and blocks that cross each other, in an embedded database: whatever the order, the end is exact.

use std::collections::{BTreeSet, HashSet};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use dynoxide::Database;
use futures::future::join_all;
use serde_json::json;
use tintype_core::{Time, UserId};
use tintype_tables::{
    Key, Page,
    graph::{self, Approval},
    memory::JUST_NOW,
    table::Query,
    users,
    visibility::{self, Fence, Relationship, fences_of},
};
use tokio::{net::TcpListener, sync::Barrier};

use super::*;
use crate::{
    blocks::store::{block, unblock},
    follows::store::{Followed, act, follow, look, unfollow},
    mutes,
    profiles::store::{Change, Profile, change},
};

pub(crate) async fn empty_table() -> Table {
    let database = Database::memory().unwrap();
    let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    let attributes = json!([{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}]);
    let request = json!({"TableName": "users", "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"});
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
    Table { client: Client::from_conf(config), name: "users".to_owned() }
}

pub(crate) async fn person(table: &Table, name: &str) -> UserId {
    let id = UserId::new();
    let mut item = serde_dynamo::to_item::<_, tintype_tables::table::Item>(Profile::new(id, name.parse().unwrap(), None)).unwrap();
    item.extend(users::profile(id).item());
    table.client.put_item().table_name("users").set_item(Some(item)).send().await.unwrap();
    id
}

async fn turn(table: &Table, user: UserId, is_private: bool) {
    change(table, user, Change { is_private: Some(is_private), ..Change::default() }, Time::now()).await.unwrap();
}

async fn approve(table: &Table, followee: UserId, follower: UserId, approval: Approval) -> bool {
    graph::approve(table, followee, follower, approval, Time::now()).await.unwrap()
}

async fn others(table: &Table, user: UserId, prefix: &str) -> BTreeSet<UserId> {
    let query = Query { pk: users::partition(user), prefix: Some(prefix), after: None, descending: false, consistent: true, limit: 1000 };
    users::edges(table, query).await.unwrap().items.into_iter().collect()
}

/// What must hold between any two people, always: both sides agree, counts equal edges, and there is a follow, a request, or neither, and
/// neither across a block.
async fn all_is_exact(table: &Table, people: &[UserId]) {
    for &ada in people {
        let following = others(table, ada, users::FOLLOWING).await;
        let followers = others(table, ada, users::FOLLOWERS).await;
        let counts = users::follow_counts(table, ada).await.unwrap();
        let edges = [following.len(), followers.len()].map(|edges| i64::try_from(edges).unwrap());
        assert_eq!([counts.following, counts.followers], edges);
        for &bob in people.iter().filter(|bob| **bob != ada) {
            assert_eq!(following.contains(&bob), others(table, bob, users::FOLLOWERS).await.contains(&ada));
            let waits = others(table, ada, users::REQUESTED).await.contains(&bob);
            assert_eq!(waits, others(table, bob, users::REQUESTS).await.contains(&ada));
            let (hers, his) = (Relationship::read(table, ada, bob).await.unwrap(), Relationship::read(table, bob, ada).await.unwrap());
            assert_eq!((hers.blocking, hers.blocked), (his.blocked, his.blocking));
            assert!(!(hers.following && hers.requested), "a follow and a request");
            let block = hers.blocking || hers.blocked;
            assert!(!(block && (hers.following || hers.followed_by || hers.requested)), "something across a block: {hers:?}");
        }
    }
}

#[tokio::test]
async fn whatever_crosses_counts_equal_edges_and_nothing_contradicts_itself() {
    let table = empty_table().await;
    let people = [person(&table, "ada").await, person(&table, "bob").await, person(&table, "cho").await];
    for round in 0..6 {
        join_all((0..32).map(async |number| {
            let (table, now) = (&table, Time::now());
            let ada = people[any_below(3)];
            let bob = people[(people.iter().position(|id| *id == ada).unwrap() + 1 + any_below(2)) % 3];
            match (number + round) % 8 {
                0..=2 => drop(follow(table, ada, bob, now).await.unwrap()),
                3 => drop(unfollow(table, ada, bob, now).await.unwrap()),
                4 => drop(approve(table, ada, bob, if any_below(2) == 0 { Approval::Given } else { Approval::TurnedPublic }).await),
                5 => assert!(block(table, ada, bob, now).await.unwrap()),
                6 => unblock(table, ada, bob).await.unwrap(),
                _ => turn(table, ada, any_below(2) == 0).await,
            }
        }))
        .await;
        all_is_exact(&table, &people).await;
    }
}

/// All have looked before the first has written.
#[tokio::test]
async fn what_crosses_a_block_comes_to_nothing() {
    let table = empty_table().await;
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    for round in 0..20 {
        turn(&table, ada, round % 2 == 0).await;
        let block_after = async {
            block(&table, ada, bob, Time::now()).await.unwrap();
        };
        let follows = join_all((0..4).map(async |number| {
            let (follower, followee) = if number % 2 == 0 { (bob, ada) } else { (ada, bob) };
            follow(&table, follower, followee, Time::now()).await.unwrap();
        }));
        tokio::join!(follows, block_after);
        all_is_exact(&table, &[ada, bob]).await;
        assert!(Relationship::read(&table, ada, bob).await.unwrap().blocking);
        unblock(&table, ada, bob).await.unwrap();
    }
}

/// Below `bound`; an id ends in random bits.
fn any_below(bound: usize) -> usize {
    UserId::new().shard(u8::try_from(bound).unwrap()) as usize
}

#[tokio::test]
async fn a_private_account_is_requested_and_followed_only_once_it_approves() {
    let table = empty_table().await;
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    turn(&table, ada, true).await;
    for _ in 0..2 {
        assert_eq!(follow(&table, bob, ada, Time::now()).await.unwrap(), Followed::Requested);
    }
    assert_eq!(users::follow_counts(&table, ada).await.unwrap().followers, 0);
    assert!(approve(&table, ada, bob, Approval::Given).await);
    assert!(!approve(&table, ada, bob, Approval::Given).await, "there is nothing left to approve");
    assert_eq!(follow(&table, bob, ada, Time::now()).await.unwrap(), Followed::Following);
    all_is_exact(&table, &[ada, bob]).await;
}

#[tokio::test]
async fn an_approval_because_the_account_turned_public_is_none_once_it_is_private_again() {
    let table = empty_table().await;
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    turn(&table, ada, true).await;
    follow(&table, bob, ada, Time::now()).await.unwrap();
    assert!(!approve(&table, ada, bob, Approval::TurnedPublic).await);
    turn(&table, ada, false).await;
    assert!(approve(&table, ada, bob, Approval::TurnedPublic).await);
    all_is_exact(&table, &[ada, bob]).await;
}

#[tokio::test]
async fn who_asked_while_the_account_was_private_and_follows_once_it_is_public_waits_no_longer() {
    let table = empty_table().await;
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    turn(&table, ada, true).await;
    follow(&table, bob, ada, Time::now()).await.unwrap();
    turn(&table, ada, false).await;
    assert_eq!(follow(&table, bob, ada, Time::now()).await.unwrap(), Followed::Following);
    all_is_exact(&table, &[ada, bob]).await;
}

/// Promise 3: what was on its way when the block came must not be there when it goes.
#[tokio::test]
async fn a_block_leaves_the_fences_of_the_follows_it_ends_and_an_unblock_leaves_them_too() {
    let table = empty_table().await;
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    follow(&table, ada, bob, Time::now()).await.unwrap();
    follow(&table, bob, ada, Time::now()).await.unwrap();
    block(&table, ada, bob, Time::now()).await.unwrap();
    assert_eq!(follow(&table, bob, ada, Time::now()).await.unwrap(), Followed::Nobody);
    assert_eq!(follow(&table, ada, bob, Time::now()).await.unwrap(), Followed::Blocking);
    unblock(&table, ada, bob).await.unwrap();
    assert_eq!(Relationship::read(&table, ada, bob).await.unwrap(), Relationship::default(), "nothing is restored");
    for (viewer, author) in [(ada, bob), (bob, ada)] {
        assert!(fences_of(&table, viewer).await.unwrap().contains(&author));
        follow(&table, viewer, author, Time::now()).await.unwrap();
        assert!(fences_of(&table, viewer).await.unwrap().is_empty());
    }
    // Nothing of the fence is left on the other side either.
    let query =
        Query { pk: users::partition(ada), prefix: Some(users::FENCED_BY), after: None, descending: false, consistent: true, limit: 9 };
    let left: Page<Key> = table.query(query).await.unwrap();
    assert_eq!(left.items, []);
    all_is_exact(&table, &[ada, bob]).await;
}

/// Promise 7: what crosses the turn is held here between its look and its act.
#[tokio::test]
async fn a_follow_of_an_account_that_turns_private_meanwhile_is_a_request_and_who_followed_before_stays() {
    let table = empty_table().await;
    let (ada, bob, cho) = (person(&table, "ada").await, person(&table, "bob").await, person(&table, "cho").await);
    follow(&table, cho, ada, Time::now()).await.unwrap();
    let public = look(&table, bob, ada).await.unwrap();
    turn(&table, ada, true).await;
    assert_eq!(act(&table, public, bob, ada, Time::now()).await.unwrap(), None, "it looks again");
    assert!(!Relationship::read(&table, bob, ada).await.unwrap().following);
    assert_eq!(follow(&table, bob, ada, Time::now()).await.unwrap(), Followed::Requested);
    let private = look(&table, bob, ada).await.unwrap();
    turn(&table, ada, false).await;
    unfollow(&table, bob, ada, Time::now()).await.unwrap();
    assert_eq!(act(&table, private, bob, ada, Time::now()).await.unwrap(), None, "nobody asks a public account");
    assert_eq!(others(&table, ada, users::FOLLOWERS).await, BTreeSet::from([cho]));
    all_is_exact(&table, &[ada, bob, cho]).await;
}

/// Whoever has the answer that the account is private gets no follower any more whom they have not approved.
#[tokio::test]
async fn nobody_follows_unapproved_once_the_account_is_private_however_many_try_beside_the_turn() {
    let table = empty_table().await;
    let ada = person(&table, "ada").await;
    let mut crowd = Vec::new();
    for number in 0..16 {
        crowd.push(person(&table, &format!("fan{number}")).await);
    }
    for _ in 0..5 {
        turn(&table, ada, false).await;
        let (have_looked, has_turned) = (Barrier::new(crowd.len() + 1), Barrier::new(crowd.len() / 2 + 1));
        let follows = join_all(crowd.iter().enumerate().map(async |(number, fan)| {
            let seen = look(&table, *fan, ada).await.unwrap();
            have_looked.wait().await;
            // All have seen a public account; half of them act beside the turn, and half after it.
            if number % 2 == 0 {
                has_turned.wait().await;
            }
            if act(&table, seen, *fan, ada, Time::now()).await.unwrap().is_none() {
                follow(&table, *fan, ada, Time::now()).await.unwrap();
            }
        }));
        let at_the_turn = async {
            have_looked.wait().await;
            turn(&table, ada, true).await;
            let followers = others(&table, ada, users::FOLLOWERS).await;
            has_turned.wait().await;
            followers
        };
        let (_, followers) = tokio::join!(follows, at_the_turn);
        assert_eq!(others(&table, ada, users::FOLLOWERS).await, followers);
        assert_eq!(others(&table, ada, users::REQUESTS).await.len() + followers.len(), crowd.len());
        all_is_exact(&table, &[ada, crowd[0], crowd[15]]).await;
        for fan in &crowd {
            unfollow(&table, *fan, ada, Time::now()).await.unwrap();
        }
    }
}

async fn items_of(table: &Table, user: UserId) -> Vec<Key> {
    let query = Query { pk: users::partition(user), prefix: None, after: None, descending: false, consistent: true, limit: 99 };
    table.query(query).await.unwrap().items
}

/// A deletion takes the profile first, and then all that it finds: what comes later nobody would find.
#[tokio::test]
async fn who_is_gone_is_neither_followed_blocked_nor_muted_and_nothing_of_it_is_left() {
    let table = empty_table().await;
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    let seen = look(&table, ada, bob).await.unwrap();
    table.client.delete_item().table_name("users").set_key(Some(users::profile(bob).item())).send().await.unwrap();
    assert_eq!(act(&table, seen, ada, bob, Time::now()).await.unwrap(), None);
    assert_eq!(follow(&table, ada, bob, Time::now()).await.unwrap(), Followed::Nobody);
    assert!(!block(&table, ada, bob, Time::now()).await.unwrap());
    assert!(!mutes::begin(&table, ada, bob, Time::now()).await.unwrap());
    assert_eq!(items_of(&table, ada).await, [users::profile(ada)]);
    assert_eq!(items_of(&table, bob).await, []);
}

#[tokio::test]
async fn a_mute_said_once_more_is_still_one() {
    let table = empty_table().await;
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    for _ in 0..2 {
        assert!(mutes::begin(&table, ada, bob, Time::now()).await.unwrap());
    }
    assert!(Relationship::read(&table, ada, bob).await.unwrap().muting);
}

async fn put(table: &Table, keys: impl IntoIterator<Item = Key>) {
    join_all(keys.into_iter().map(|key| table.client.put_item().table_name("users").set_item(Some(key.item())).send()))
        .await
        .into_iter()
        .for_each(|put| drop(put.unwrap()));
}

/// A cursor is no secret: whoever reads it must not learn who blocks them.
#[tokio::test]
async fn a_page_of_followers_is_filled_up_and_its_cursor_names_nobody_who_is_hidden() {
    let table = empty_table().await;
    let star = UserId::new();
    let mut fans: Vec<UserId> = (0..9).map(|_| UserId::new()).collect();
    fans.sort();
    put(&table, fans.iter().map(|fan| users::follower(star, *fan))).await;
    let hidden: HashSet<UserId> = [0, 1, 3, 4, 5, 8].map(|number: usize| fans[number]).into();
    let mut read = Vec::new();
    let mut after = None;
    loop {
        let pk = users::partition(star);
        let query = Query { pk, prefix: Some(users::FOLLOWERS), after, descending: false, consistent: true, limit: 2 };
        let page = visibility::edges_but(&table, query, |person| hidden.contains(&person)).await.unwrap();
        assert_eq!(page.next, page.next.as_ref().and(page.items.last()).map(|last| users::follower(star, *last).sk));
        read.push(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read, [vec![fans[2], fans[6]], vec![fans[7]]]);
}

/// However much hides, a page looks at so much and no more, and still gets on.
#[tokio::test]
async fn a_page_of_mutes_behind_very_many_fences_is_short_and_its_cursor_names_nobody() {
    let table = empty_table().await;
    let ada = UserId::new();
    // Ids of one millisecond each, so that what is made up sorts between them.
    let id = |number: u64| format!("{:08x}-{:04x}-7abc-8abc-0123456789ab", number >> 16, number & 0xffff).parse::<UserId>().unwrap();
    let numbers: Vec<u64> = (1..=3_500).collect();
    for chunk in numbers.chunks(500) {
        put(&table, chunk.iter().map(|number| users::blocked(ada, id(*number)))).await;
    }
    put(&table, [users::muting(ada, id(20_000))]).await;
    let first = visibility::fenced_off(&table, ada, Fence::Muting, None, 2).await.unwrap();
    assert_eq!(first.items, []);
    let cursor = first.next.unwrap();
    let (nobody, kind) = Fence::of_key(&cursor).unwrap();
    assert_eq!(kind, Fence::Muting, "such a cursor is accepted");
    assert!(numbers.iter().all(|number| id(*number) != nobody));
    let second = visibility::fenced_off(&table, ada, Fence::Muting, Some(cursor), 2).await.unwrap();
    assert_eq!((second.items, second.next), (vec![id(20_000)], None));
}

#[tokio::test]
async fn what_has_just_become_of_two_people_is_known_to_be_new_for_whoever_did_it_and_what_is_older_is_not() {
    let table = empty_table().await;
    let later = || Time::now().plus(JUST_NOW);
    let news = async |viewer, other, now| Relationship::read_with_age(&table, viewer, other, now).await.unwrap();
    let (ada, bob) = (person(&table, "ada").await, person(&table, "bob").await);
    assert_eq!(news(ada, bob, Time::now()).await, (Relationship::default(), false));
    follow(&table, ada, bob, Time::now()).await.unwrap();
    let following = Relationship { following: true, ..Relationship::default() };
    assert_eq!((news(ada, bob, Time::now()).await, news(ada, bob, later()).await), ((following, true), (following, false)));
    // He has one follower more, and may look at whom she follows.
    assert!(news(bob, ada, Time::now()).await.1);
    assert!(unfollow(&table, ada, bob, Time::now()).await.unwrap());
    let none = Relationship::default();
    assert_eq!((news(ada, bob, Time::now()).await, news(ada, bob, later()).await), ((none, true), (none, false)));
    // An approval is the followed one's doing.
    turn(&table, bob, true).await;
    follow(&table, ada, bob, Time::now().minus(JUST_NOW)).await.unwrap();
    assert!(approve(&table, bob, ada, Approval::Given).await);
    assert!(news(bob, ada, Time::now()).await.1 && news(ada, bob, Time::now()).await.0.following);
    assert!(block(&table, bob, ada, Time::now()).await.unwrap());
    let blocking = Relationship { blocking: true, ..Relationship::default() };
    assert_eq!((news(bob, ada, Time::now()).await, news(bob, ada, later()).await), ((blocking, true), (blocking, false)));
}
