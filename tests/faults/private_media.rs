//! Photographs follow their account also when whoever moves them is killed over it, and nothing is left where it does not belong.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{
        Caller, Person,
        host::Addresses,
        inside::Inside,
        photographs::{publish_files, small_photo, telephone_photo},
        until,
    },
    process::{Host, Worker, all_end, folder},
};

const PATIENCE: Duration = Duration::from_mins(1);
const POSTS: usize = 4;

/// The keys of all objects in the media bucket.
async fn media(addresses: &Addresses) -> BTreeSet<String> {
    let credentials = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"));
    let aws = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("us-east-1"));
    let aws = aws.credentials_provider(credentials).endpoint_url(addresses.aws.clone().expect("the endpoint")).build();
    let client = Client::from_conf(aws_sdk_s3::config::Builder::from(&aws).force_path_style(true).build());
    let buckets = client.list_buckets().send().await.expect("buckets");
    let bucket = buckets.buckets().iter().filter_map(|bucket| bucket.name()).find(|name| name.contains("-media-")).expect("one for media");
    let objects = client.list_objects_v2().bucket(bucket).send().await.expect("objects");
    objects.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
}

/// The keys that a post's URLs lead to.
fn keys(post: &Value) -> Vec<String> {
    let photos = post["photos"].as_array().expect("photos").iter();
    let variants = photos.flat_map(|photo| photo["variants"].as_array().expect("variants"));
    let key = |url: &str| match url.strip_prefix("/media/") {
        Some(rest) => format!("public/{rest}"),
        None => format!("private/{}", url.split('?').next().and_then(|url| url.split_once("/private/")).expect("a signed URL").1),
    };
    variants.map(|variant| key(variant["url"].as_str().expect("a URL"))).collect()
}

struct Moves {
    host: Host,
    inside: Inside,
    ada: Person,
    _folder: TempDir,
}

impl Moves {
    /// As the template has it: a message whose worker was killed comes again after half an hour. The job must not wait for it.
    async fn begin() -> Self {
        let folder = folder();
        let host = Host::start(folder.path());
        let nobody = Caller::nobody_at(&host.addresses);
        let (ada, inside) = (Person::sign_up_at(&nobody, "ada").await, Inside::of(&nobody).await.expect("the endpoint"));
        let (large, small) = (telephone_photo(1, 1200, 900), small_photo());
        for number in 0..POSTS {
            publish_files(&ada, &format!("number {number}"), &[("image/jpeg", &large), ("image/jpeg", &small)]).await;
        }
        Self { host, inside, ada, _folder: folder }
    }

    async fn turn(&self, is_private: bool) {
        self.ada.patch("/me", json!({"is_private": is_private})).await.expect(200);
    }

    fn kill_who_moves(&self) {
        let mut victims = self.host.workers();
        victims.retain(|worker| worker.function == "posts-worker");
        victims.iter().for_each(Worker::kill);
        all_end(&victims);
    }

    async fn let_job_be_overdue(&self) -> bool {
        self.inside.let_job_be_overdue(&format!("USER#{}", self.ada.id), "PRIVACY").await
    }

    /// Whether all files that posts name are there, and there are no others anywhere.
    async fn are_in(&self, place: &str) -> bool {
        let posts = self.ada.list(&format!("/users/{}/posts", self.ada.username)).await;
        assert_eq!(posts.len(), POSTS);
        let named: BTreeSet<String> = posts.iter().flat_map(keys).collect();
        named == media(&self.host.addresses).await && named.iter().all(|key| key.starts_with(place))
    }
}

#[tokio::test]
async fn whoever_moves_the_files_of_an_account_may_be_killed_at_any_moment() {
    let moves = Moves::begin().await;
    for (round, moment) in [0, 15, 40, 80, 150, 300].into_iter().enumerate() {
        let is_private = round % 2 == 0;
        moves.turn(is_private).await;
        // The fault's moments, not a wait for anything.
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(moment)).await;
            moves.kill_who_moves();
            // Nothing is heard of who was killed: those two minutes need not pass here.
            moves.let_job_be_overdue().await;
        }
        let place = if is_private { "private/" } else { "public/" };
        until(&format!("killed after {moment} ms, and all files are in {place}, and no others anywhere"), PATIENCE, async || {
            if moves.are_in(place).await {
                return Some(());
            }
            moves.let_job_be_overdue().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            None
        })
        .await;
    }
    until("the job ends", PATIENCE, async || {
        let is_running = moves.let_job_be_overdue().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (!is_running).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_files_of_an_account_whose_mover_was_killed_are_moved_within_minutes_by_nobodys_hand() {
    let moves = Moves::begin().await;
    moves.turn(true).await;
    // Whoever is there within the first seconds, and whoever takes their place.
    let turned = Instant::now();
    while turned.elapsed() < Duration::from_secs(3) {
        moves.kill_who_moves();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!moves.are_in("private/").await, "they were quicker");
    // Two minutes without a word, and the janitor's.
    until("all files are private", Duration::from_mins(4), async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        moves.are_in("private/").await.then_some(())
    })
    .await;
}
