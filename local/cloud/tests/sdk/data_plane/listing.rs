//! Lists of keys, and the deletion of what they name.

use aws_sdk_s3::{
    Client,
    primitives::ByteStream,
    types::{Delete, ObjectIdentifier},
};

use super::cloud::Cloud;

async fn fill(client: &Client, bucket: &str, keys: &[&str]) {
    for key in keys {
        client.put_object().bucket(bucket).key(*key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
}

/// All keys that start with `prefix`.
async fn keys(client: &Client, bucket: &str, prefix: &str) -> Vec<String> {
    let listed = client.list_objects_v2().bucket(bucket).prefix(prefix).send().await.unwrap();
    listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()
}

#[tokio::test]
async fn keys_are_listed_in_the_order_of_bytes_page_by_page() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let all = ["Z", "a", "a/1", "a/10", "a/2", "b/1", "c d+", "é"];
    fill(&client, &bucket, &all).await;
    let mut pages = client.list_objects_v2().bucket(&bucket).max_keys(3).into_paginator().send();
    let (mut keys, mut sizes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.key_count().unwrap());
        assert_eq!(page.is_truncated(), Some(sizes.len() < 3));
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!((keys, sizes), (all.map(str::to_owned).into(), vec![3, 3, 2]));
}

#[tokio::test]
async fn a_page_may_begin_at_any_key() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let all = ["a b+c%20", "a&<", "é", "\u{1f305}"];
    fill(&client, &bucket, &all).await;
    let mut pages = client.list_objects_v2().bucket(&bucket).max_keys(1).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    assert_eq!(keys, all);
}

#[tokio::test]
async fn keys_are_listed_by_prefix_and_after_a_key() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    fill(&client, &bucket, &["a", "a/1", "a/2", "a0", "b/1"]).await;
    assert_eq!(keys(&client, &bucket, "a/").await, ["a/1", "a/2"]);
    assert_eq!(keys(&client, &bucket, "nothing").await, [""; 0]);
    let after = client.list_objects_v2().bucket(&bucket).start_after("a/1").send().await.unwrap();
    assert_eq!(after.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["a/2", "a0", "b/1"]);
    let first_version = client.list_objects().bucket(&bucket).prefix("a/").send().await.unwrap();
    assert_eq!(first_version.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["a/1", "a/2"]);
}

#[tokio::test]
async fn a_delimiter_makes_folders() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    fill(&client, &bucket, &["a", "a/1", "a/2", "b/1", "c d+é", "z"]).await;
    let mut pages = client.list_objects_v2().bucket(&bucket).delimiter("/").max_keys(2).into_paginator().send();
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        prefixes.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
    }
    assert_eq!((keys, prefixes), (vec!["a".into(), "c d+é".into(), "z".into()], vec!["a/".to_owned(), "b/".to_owned()]));
}

#[tokio::test]
async fn a_list_tells_size_and_entity_tag() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    client.put_object().bucket(&bucket).key("a").body(ByteStream::from_static(b"hello")).send().await.unwrap();
    let listed = client.list_objects_v2().bucket(&bucket).send().await.unwrap();
    let object = &listed.contents()[0];
    assert_eq!((object.size(), object.e_tag()), (Some(5), Some("\"5d41402abc4b2a76b9719d911017c592\"")));
    assert!(object.last_modified().is_some());
}

#[tokio::test]
async fn deleting_is_for_good_and_may_be_repeated() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let special = "two & <three>+%20";
    fill(&client, &bucket, &["one", special, "kept"]).await;
    for _ in 0..2 {
        client.delete_object().bucket(&bucket).key("one").send().await.unwrap();
    }
    assert_eq!(keys(&client, &bucket, "").await, ["kept", special]);

    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = async |quiet: bool| {
        let delete = Delete::builder().objects(object(special)).objects(object("never there")).quiet(quiet).build().unwrap();
        client.delete_objects().bucket(&bucket).delete(delete).send().await.unwrap()
    };
    let deleted = delete(false).await;
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (2, 0));
    let quietly = delete(true).await;
    assert_eq!((quietly.deleted().len(), quietly.errors().len()), (0, 0));
    assert_eq!(keys(&client, &bucket, "").await, ["kept"]);
}
