//! Photographs follow their account also when whoever moves them is killed over it, and nothing is left where it does not belong.

use std::{collections::BTreeSet, fs, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
};
use serde_json::{Value, json};

use crate::{
    harness::{
        Caller, Person,
        host::{self, Addresses},
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

#[tokio::test]
async fn whoever_moves_the_files_of_an_account_may_be_killed_at_any_moment() {
    let folder = folder();
    let template = fs::read_to_string(host::root().join("template.yaml")).expect("template.yaml");
    // A message whose worker was killed comes again after seconds, not after half an hour.
    let hasty = template.replace("VisibilityTimeout: 1800", "VisibilityTimeout: 3").replace("maxReceiveCount: 5", "maxReceiveCount: 50");
    assert_ne!(template, hasty, "the queue has its timeout there");
    let path = folder.path().join("template.yaml");
    fs::write(&path, hasty).expect("a file");
    let host = Host::start_with(folder.path(), "0", &["--template", path.to_str().expect("a path")]);
    let ada = Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
    let (large, small) = (telephone_photo(1, 1200, 900), small_photo());
    for number in 0..POSTS {
        publish_files(&ada, &format!("number {number}"), &[("image/jpeg", &large), ("image/jpeg", &small)]).await;
    }

    for (round, moment) in [0, 15, 40, 80, 150, 300].into_iter().enumerate() {
        let is_private = round % 2 == 0;
        ada.patch("/me", json!({"is_private": is_private})).await.expect(200);
        // The fault's moments, not a wait for anything.
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(moment)).await;
            let mut victims = host.workers();
            victims.retain(|worker| worker.function == "posts-worker");
            victims.iter().for_each(Worker::kill);
            all_end(&victims);
        }
        let place = if is_private { "private/" } else { "public/" };
        until(&format!("killed after {moment} ms, and all files are in {place}, and no others anywhere"), PATIENCE, async || {
            let posts = ada.list(&format!("/users/{}/posts", ada.username)).await;
            assert_eq!(posts.len(), POSTS);
            let named: BTreeSet<String> = posts.iter().flat_map(keys).collect();
            let there = media(&host.addresses).await;
            (named == there && named.iter().all(|key| key.starts_with(place))).then_some(())
        })
        .await;
    }
}
