//! Uploads by ticket: a presigned PUT of one size and one type, for a while, as functions hand them out.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use tintype_buckets::PresignedPut;

use super::cloud::Cloud;

const KEY: &str = "uploads/0197/0";
const BODY: &[u8] = b"not really a photograph";
const QUARTER: Duration = Duration::from_mins(15);

/// The ticket for a JPEG as large as [`BODY`].
async fn ticket(cloud: &Cloud, bucket: &str, key: &str) -> PresignedPut {
    let bucket = tintype_buckets::Bucket::new(&cloud.s3(), bucket);
    bucket.presign_put(key, "image/jpeg", BODY.len() as u64, QUARTER).await.unwrap()
}

async fn upload(url: &str, content_type: &str, body: &'static [u8]) -> (u16, String) {
    let response = reqwest::Client::new().put(url).header("content-type", content_type).body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// What the store has at `key`: type and bytes.
async fn stored(cloud: &Cloud, bucket: &str, key: &str) -> Option<(String, Vec<u8>)> {
    let got = cloud.s3().get_object().bucket(bucket).key(key).send().await.ok()?;
    let content_type = got.content_type().unwrap().to_owned();
    Some((content_type, got.body.collect().await.unwrap().to_vec()))
}

#[tokio::test]
async fn an_upload_as_its_ticket_says_is_stored_also_a_second_time() {
    let cloud = Cloud::start().await;
    let bucket = cloud.bucket().await;
    let ticket = ticket(&cloud, &bucket, KEY).await;
    for _ in 0..2 {
        let (status, answer) = upload(&ticket.url, "image/jpeg", BODY).await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(stored(&cloud, &bucket, KEY).await, Some(("image/jpeg".to_owned(), BODY.to_vec())));
}

#[tokio::test]
async fn a_ticket_is_good_for_any_key() {
    let cloud = Cloud::start().await;
    let bucket = cloud.bucket().await;
    for key in ["uploads/a b+c%20d/é&=?#.jpg", "uploads/~'()*!$@,;:/0", "uploads/\u{1f305}"] {
        let ticket = ticket(&cloud, &bucket, key).await;
        let (status, answer) = upload(&ticket.url, "image/jpeg", BODY).await;
        assert_eq!(status, 200, "{key}: {answer}");
        assert_eq!(stored(&cloud, &bucket, key).await, Some(("image/jpeg".to_owned(), BODY.to_vec())), "{key}");
    }
}

/// Uploads something else than [`ticket`] allows, and expects 403 and nothing stored.
async fn is_refused(change: impl Fn(&str) -> String, content_type: &str, body: &'static [u8]) {
    let cloud = Cloud::start().await;
    let bucket = cloud.bucket().await;
    let url = change(&ticket(&cloud, &bucket, KEY).await.url);
    let (status, answer) = upload(&url, content_type, body).await;
    assert_eq!(status, 403, "{answer}");
    let listed = cloud.s3().list_objects_v2().bucket(&bucket).send().await.unwrap();
    assert!(listed.contents().is_empty());
}

#[tokio::test]
async fn a_longer_or_shorter_upload_is_refused() {
    is_refused(str::to_owned, "image/jpeg", &BODY[1..]).await;
    is_refused(str::to_owned, "image/jpeg", b"not really a photograph, and longer than the ticket says").await;
}

#[tokio::test]
async fn an_upload_of_another_type_is_refused() {
    is_refused(str::to_owned, "image/png", BODY).await;
}

#[tokio::test]
async fn an_upload_to_another_key_is_refused() {
    is_refused(|url| url.replace("/0197/", "/0198/"), "image/jpeg", BODY).await;
}

#[tokio::test]
async fn an_upload_with_a_forged_signature_is_refused() {
    let forge = |url: &str| {
        let (signed, signature) = url.rsplit_once("X-Amz-Signature=").unwrap();
        format!("{signed}X-Amz-Signature={}", signature.chars().rev().collect::<String>())
    };
    is_refused(forge, "image/jpeg", BODY).await;
}

#[tokio::test]
async fn a_ticket_with_a_longer_life_than_was_signed_is_refused() {
    is_refused(|url| url.replace("X-Amz-Expires=900", "X-Amz-Expires=86400"), "image/jpeg", BODY).await;
}

#[tokio::test]
async fn an_upload_without_a_signature_is_refused() {
    is_refused(|url| url.split('?').next().unwrap().to_owned(), "image/jpeg", BODY).await;
}

#[tokio::test]
async fn an_expired_ticket_is_refused() {
    let cloud = Cloud::start().await;
    let bucket = cloud.bucket().await;
    let put = cloud.s3().put_object().bucket(&bucket).key(KEY).content_type("image/jpeg").content_length(BODY.len().try_into().unwrap());
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    let ticket = put.presigned(PresigningConfig::builder().start_time(an_hour_ago).expires_in(QUARTER).build().unwrap()).await.unwrap();
    let (status, answer) = upload(ticket.uri(), "image/jpeg", BODY).await;
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    assert_eq!(stored(&cloud, &bucket, KEY).await, None);
}

#[tokio::test]
async fn a_presigned_read_needs_nothing_but_its_url() {
    let cloud = Cloud::start().await;
    let bucket = cloud.bucket().await;
    let put = cloud.s3().put_object().bucket(&bucket).key("a b").content_type("image/jpeg").body(BODY.to_vec().into());
    put.send().await.unwrap();
    let get = cloud.s3().get_object().bucket(&bucket).key("a b").presigned(PresigningConfig::expires_in(QUARTER).unwrap()).await.unwrap();
    let got = reqwest::get(get.uri()).await.unwrap();
    assert_eq!((got.status().as_u16(), &got.headers()["content-type"]), (200, &"image/jpeg".parse().unwrap()));
    assert_eq!(&*got.bytes().await.unwrap(), BODY);
}
