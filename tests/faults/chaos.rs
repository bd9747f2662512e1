//! The promises of the design while everything goes wrong that can: `--chaos`, and the switch at `/_tintype/chaos`.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    harness::{
        Caller, Person, Ticket,
        host::Addresses,
        people::ids,
        photographs::{publish, small_photo},
        throughout, until,
    },
    operator::Operator,
    process::{Host, folder},
};

/// What AWS may do on a bad day, and much more often. The seed is not what makes it pass: take another.
const FAULTS: &str = "dynamodb:conflict=0.1,throttle=0.05,error=0.02,unprocessed=0.2,lost_answer=0.03;\
    s3:error=0.05,throttle=0.05,lost_answer=0.03,duplicate=0.3,reorder=0.3;sqs:duplicate=0.3,reorder=0.5,unprocessed=0.2;\
    streams:duplicate=0.3,reorder=0.5;photo-processor:kill=0.2;feed-fanout:kill=0.2;event-router:kill=0.2;seed=7";

/// How long anything may take that is tried again and again.
const PATIENCE: Duration = Duration::from_mins(3);
const PEOPLE: usize = 5;
const POSTS_EACH: usize = 3;

async fn sign_up(addresses: &Addresses) -> Person {
    let nobody = Caller::nobody_at(addresses);
    until("somebody signs up", PATIENCE, async || match Person::try_to_sign_up_at(&nobody, "ada").await {
        Ok(person) => Some(person.patient()),
        // Whether the account is there nobody knows: the next attempt is somebody else.
        Err(answer) if answer.status >= 500 => None,
        Err(answer) => panic!("{}", answer.text),
    })
    .await
}

/// An upload, as often as it takes.
async fn upload(author: &Person, ticket: &Ticket, photo: &[u8]) {
    until("an upload is taken", PATIENCE, async || match ticket.request(author, 0, photo, &[]).send().await {
        Ok(answer) if answer.status() == 200 => Some(()),
        Ok(answer) => {
            assert!(answer.status().is_server_error(), "{answer:?}");
            None
        }
        // The answer was lost.
        Err(_) => None,
    })
    .await;
}

/// A post that was uploaded, once it is published or has failed.
async fn post(author: &Person, operator: &Operator, photo: &[u8]) -> Value {
    let ticket = Ticket::of(author, "on a bad day", &[("image/jpeg", photo)]).await;
    upload(author, &ticket, photo).await;
    until("the post is published or fails", PATIENCE, async || {
        operator.redrive().await;
        let post = author.get(&format!("{}?wait=2", ticket.path())).await.expect(200).body;
        matches!(post["status"].as_str(), Some("published" | "failed")).then_some(post)
    })
    .await
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

async fn follow(follower: &Person, followee: &Person, method: &str) {
    let path = format!("/users/{}/follow", followee.username);
    let answer = if method == "PUT" { follower.put(&path).await } else { follower.delete(&path).await };
    assert_eq!(answer.expect(200).body, json!({"following": method == "PUT", "requested": false}));
}

#[tokio::test]
async fn posts_reach_every_follower_once_and_in_order_and_counts_are_exact_while_everything_goes_wrong() {
    let folder = folder();
    let host = Host::start_in_haste(folder.path(), &["--chaos", FAULTS]);
    let operator = Operator::of(&host.addresses);
    let people = join_all((0..PEOPLE).map(|_| sign_up(&host.addresses))).await;

    // Each follows the next two; every other one thinks twice, and all repeat themselves.
    let follows: BTreeSet<(usize, usize)> = (0..PEOPLE).flat_map(|who| [1, 2].map(|next| (who, (who + next) % PEOPLE))).collect();
    join_all(follows.iter().map(async |&(follower, followee)| {
        let (follower, followee) = (&people[follower], &people[followee]);
        let methods: &[&str] = if follower.id < followee.id { &["PUT", "PUT"] } else { &["PUT", "DELETE", "DELETE", "PUT"] };
        for method in methods {
            follow(follower, followee, method).await;
        }
    }))
    .await;

    // While the first posts are published, somebody more follows everybody.
    let photo = small_photo();
    let posting = join_all(people.iter().map(async |author| {
        let mut posts = Vec::new();
        for _ in 0..POSTS_EACH {
            posts.push(post(author, &operator, &photo).await);
        }
        posts
    }));
    let late = async {
        let fan = sign_up(&host.addresses).await;
        for person in &people {
            follow(&fan, person, "PUT").await;
        }
        fan
    };
    let (posts, fan) = tokio::join!(posting, late);

    // Promise 1: it is published, since nothing is wrong with the photograph.
    let mut published: BTreeMap<usize, Vec<(String, String)>> = BTreeMap::new();
    for (author, post) in posts.iter().enumerate().flat_map(|(author, posts)| posts.iter().map(move |post| (author, post))) {
        assert_eq!(post["status"], "published", "{post}");
        published.entry(author).or_default().push((text(&post["published_at"]), text(&post["id"])));
    }
    // Promise 2, for all: everybody, and the one who came late.
    let expected = |authors: Vec<usize>| {
        let mut posts: Vec<_> = authors.iter().flat_map(|author| published[author].clone()).collect();
        posts.sort_by_key(|post| Reverse(post.clone()));
        posts.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
    };
    let mut readers: Vec<(&Person, Vec<String>)> = vec![(&fan, expected((0..PEOPLE).collect()))];
    for (who, person) in people.iter().enumerate() {
        let followed = follows.iter().filter(|(follower, _)| *follower == who).map(|(_, followee)| *followee);
        readers.push((person, expected(followed.chain([who]).collect())));
    }
    for (reader, expected) in &readers {
        until("the feed has every post", PATIENCE, async || {
            operator.redrive().await;
            let feed = reader.feed().await;
            assert_eq!(feed.iter().collect::<BTreeSet<_>>().len(), feed.len(), "each once: {feed:?}");
            (feed == *expected).then_some(())
        })
        .await;
    }
    // Promise 4: counts equal edges.
    operator.set_chaos("").await;
    for (who, person) in people.iter().enumerate() {
        let mut followers: Vec<_> =
            follows.iter().filter(|(_, followee)| *followee == who).map(|(who, _)| people[*who].id.clone()).collect();
        followers.push(fan.id.clone());
        followers.sort();
        let mut listed = ids(&person.list(&format!("/users/{}/followers", person.username)).await);
        listed.sort();
        assert_eq!(listed, followers);
        person.counts_become([POSTS_EACH as u64, followers.len() as u64, 2]).await;
    }
    // Nothing comes twice later on, either.
    throughout(Duration::from_secs(4), async || {
        operator.redrive().await;
        for (reader, expected) in &readers {
            assert_eq!(&reader.feed().await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn faults_are_those_of_the_command_line_until_they_are_switched_off() {
    let folder = folder();
    let host = Host::start_with(folder.path(), "0", &["--chaos", "feed:error=1.0;dynamodb:throttle=0.1,delay_ms=50;seed=7"]);
    let ada = sign_up(&host.addresses).await;
    let banner = fs::read_to_string(folder.path().join("state.log")).expect("the host's log");
    assert!(banner.contains("goes wrong on purpose: dynamodb:delay_ms=50,throttle=0.1;feed:error=1;seed=7\n"), "{banner}");

    let impatient = Caller::nobody_at(&host.addresses).with_token(&ada.access_token);
    let failed = impatient.get("/feed").await;
    assert!(failed.status >= 500 && failed["code"].is_string(), "{}", failed.text);
    ada.get("/me").await.expect(200);
    Operator::of(&host.addresses).set_chaos("").await;
    impatient.get("/feed").await.expect(200);
}

/// Promise 3 and what else is promised at once, where reads that do not ask for consistency lag behind.
#[tokio::test]
async fn what_was_answered_holds_at_once_however_old_the_replicas_are() {
    let folder = folder();
    let host = Host::start_with(folder.path(), "0", &["--chaos", "dynamodb:stale_ms=3000"]);
    let nobody = Caller::nobody_at(&host.addresses);
    // Whoever has signed up is let in, can be found, and finds what they have written.
    let (ada, bob) = (Person::sign_up_at(&nobody, "ada").await, Person::sign_up_at(&nobody, "bob").await);
    assert_eq!(ada.get("/me").await.expect(200)["username"], ada.username);
    ada.patch("/me", json!({"bio": "just now"})).await.expect(200);
    assert_eq!(ada.get("/me").await.expect(200)["bio"], "just now");
    bob.follow(&ada).await;
    let post = text(&publish(&ada, "news").await["id"]);
    until("the follower gets the post", Duration::from_secs(30), async || bob.feed().await.contains(&post).then_some(())).await;

    bob.unfollow(&ada).await;
    assert!(bob.feed().await.is_empty(), "an unfollow hides at once");
    throughout(Duration::from_secs(5), async || assert!(bob.feed().await.is_empty())).await;

    bob.follow(&ada).await;
    until("it is back", Duration::from_secs(30), async || bob.feed().await.contains(&post).then_some(())).await;
    ada.delete(&format!("/posts/{post}")).await.expect(204);
    assert!(ada.feed().await.is_empty(), "authors miss what they have deleted at once");
    ada.get(&format!("/posts/{post}")).await.problem(404, "not-found");
    until("everybody does", Duration::from_secs(10), async || bob.feed().await.is_empty().then_some(())).await;

    // A session that is ended gives no more tokens at once.
    ada.delete("/sessions/current").await.expect(204);
    nobody.post("/sessions/refresh", json!({"refresh_token": ada.refresh_token})).await.problem(401, "unauthorized");
}
