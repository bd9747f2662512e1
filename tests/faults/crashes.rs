//! Promise 1 and 2 under `kill -9` of the host, workers and all.

use std::time::Duration;

use crate::{
    harness::{
        Caller, Person, Ticket,
        photographs::{publish, telephone_photo},
        until,
    },
    process::{Host, all_end, folder},
};

/// How long after the upload's 200 the host lives on: from not at all to past the publication.
const MOMENTS: [u64; 9] = [0, 3, 8, 20, 45, 80, 140, 250, 600];
/// How long after an upload has begun the host lives on: around its answer, a few milliseconds later.
const DURING_THE_UPLOAD: [u64; 10] = [0, 1, 2, 3, 4, 6, 8, 11, 15, 100];
/// From the start after a crash to the follower's feed.
const RECOVERS: Duration = Duration::from_secs(40);

#[tokio::test]
async fn what_was_uploaded_when_the_host_was_killed_is_published_after_the_next_start_and_reaches_followers_once() {
    let folder = folder();
    let mut host = Host::start(folder.path());
    let nobody = Caller::nobody_at(&host.addresses);
    let mut ada = Person::sign_up_at(&nobody, "ada").await;
    let mut bob = Person::sign_up_at(&nobody, "bob").await;
    bob.follow(&ada).await;
    let mut posts = Vec::new();

    for moment in MOMENTS {
        let photo = telephone_photo(moment, 640, 480);
        let ticket = Ticket::of(&ada, &format!("killed after {moment} ms"), &[("image/jpeg", &photo)]).await;
        ticket.upload(&ada, 0, &photo).await.expect(200);
        // The fault's moment, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(moment)).await;
        all_end(&host.kill());

        host = Host::start(folder.path());
        (ada, bob) = (ada.at(&host.addresses), bob.at(&host.addresses));
        let post = ticket.settled(&ada).await;
        assert_eq!(post["status"], "published", "killed after {moment} ms: {post}");
        posts.insert(0, ticket.post_id);
        until("the follower gets the post", RECOVERS, async || (bob.feed().await.len() >= posts.len()).then_some(())).await;
        assert_eq!(bob.feed().await, posts, "each once, newest first, whatever was killed between");
        ada.counts_become([posts.len() as u64, 1, 0]).await;
    }
}

/// Some of the file is stored, or all of it, or its event too; and the client was told so, or not.
#[tokio::test]
async fn an_upload_that_the_crash_cut_off_is_sent_again_with_the_same_ticket_and_one_that_was_answered_need_not_be() {
    let folder = folder();
    let mut host = Host::start(folder.path());
    let nobody = Caller::nobody_at(&host.addresses);
    let mut ada = Person::sign_up_at(&nobody, "ada").await;
    let photo = telephone_photo(1, 1200, 1600);
    let mut posts = 0;

    for moment in DURING_THE_UPLOAD {
        let ticket = Ticket::of(&ada, "cut off", &[("image/jpeg", &photo)]).await;
        let endpoint = host.addresses.aws.clone().expect("the endpoint");
        let workers = host.workers();
        let upload = async { ticket.request(&ada, 0, &photo, &[]).send().await.is_ok_and(|answer| answer.status() == 200) };
        let crash = async {
            // The fault's moment, not a wait for anything.
            tokio::time::sleep(Duration::from_millis(moment)).await;
            host.kill_at_once();
        };
        let (was_answered, ()) = tokio::join!(upload, crash);
        all_end(&workers);

        // The ticket's signature is bound to the address: the host is found where it was.
        let port = endpoint.rsplit_once(':').expect("a port").1;
        host = Host::start_with(folder.path(), port, &[]);
        ada = ada.at(&host.addresses);
        if !was_answered {
            ticket.upload(&ada, 0, &photo).await.expect(200);
        }
        assert_eq!(ticket.settled(&ada).await["status"], "published", "killed after {moment} ms, answered: {was_answered}");
        posts += 1;
        ada.counts_become([posts, 0, 0]).await;
    }
}

#[tokio::test]
async fn everything_is_found_again_after_kill_and_after_ctrl_c() {
    let folder = folder();
    let host = Host::start(folder.path());
    let nobody = Caller::nobody_at(&host.addresses);
    let (ada, bob) = (Person::sign_up_at(&nobody, "ada").await, Person::sign_up_at(&nobody, "bob").await);
    bob.follow(&ada).await;
    let post = publish(&ada, "still there").await;
    until("the follower gets the post", RECOVERS, async || (!bob.feed().await.is_empty()).then_some(())).await;
    host.kill();

    let host = Host::start(folder.path());
    same(&ada.at(&host.addresses), &bob.at(&host.addresses), &post).await;
    host.interrupt();

    let host = Host::start(folder.path());
    same(&ada.at(&host.addresses), &bob.at(&host.addresses), &post).await;
}

/// Tokens, profiles, follows, the post, its files and the feed.
async fn same(ada: &Person, bob: &Person, post: &serde_json::Value) {
    let path = format!("/posts/{}", post["id"].as_str().expect("an id"));
    assert_eq!(&ada.get(&path).await.expect(200).body, post);
    assert_eq!(bob.list("/feed").await, std::slice::from_ref(post));
    ada.counts_become([1, 1, 0]).await;
    bob.counts_become([0, 0, 1]).await;
    for variant in post["photos"][0]["variants"].as_array().expect("variants") {
        let file = ada.plain(reqwest::Method::GET, &ada.url(variant["url"].as_str().expect("a URL"))).send().await.expect("an answer");
        assert_eq!(file.bytes().await.expect("a file").len() as u64, variant["bytes"]);
    }
}
