//! Multipart uploads: several parts become one object, or none.

use aws_sdk_s3::{
    Client,
    error::ProvideErrorMetadata as _,
    types::{CompletedMultipartUpload, CompletedPart},
};

use super::cloud::Cloud;

/// Every part but the last has at least so many bytes.
const SMALLEST_PART: usize = 5 * 1024 * 1024;
const KEY: &str = "uploads/large/0";

async fn begin(client: &Client, bucket: &str) -> String {
    client.create_multipart_upload().bucket(bucket).key(KEY).content_type("image/png").send().await.unwrap().upload_id.unwrap()
}

async fn part(client: &Client, bucket: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client.upload_part().bucket(bucket).key(KEY).upload_id(id).part_number(number).body(body.into()).send().await.unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
}

/// Completes, and answers the object's entity tag or the error's code.
async fn complete(client: &Client, bucket: &str, id: &str, parts: Vec<CompletedPart>) -> Result<String, String> {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = client.complete_multipart_upload().bucket(bucket).key(KEY).upload_id(id).multipart_upload(parts).send().await;
    done.map(|done| done.e_tag.unwrap()).map_err(|error| error.code().unwrap().to_owned())
}

async fn exists(client: &Client, bucket: &str) -> bool {
    client.head_object().bucket(bucket).key(KEY).send().await.is_ok()
}

#[tokio::test]
async fn parts_become_one_object_in_the_order_of_their_numbers() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let id = begin(&client, &bucket).await;
    let last = part(&client, &bucket, &id, 7, vec![b'c'; 10]).await;
    part(&client, &bucket, &id, 2, vec![b'x'; 10]).await;
    let first = part(&client, &bucket, &id, 2, vec![b'a'; SMALLEST_PART]).await;
    assert!(!exists(&client, &bucket).await);
    let listed = client.list_parts().bucket(&bucket).key(KEY).upload_id(&id).send().await.unwrap();
    let listed: Vec<_> = listed.parts().iter().map(|part| (part.part_number().unwrap(), part.size().unwrap())).collect();
    assert_eq!(listed, [(2, i64::try_from(SMALLEST_PART).unwrap()), (7, 10)]);

    let etag = complete(&client, &bucket, &id, vec![first, last]).await.unwrap();
    assert!(etag.ends_with("-2\""), "{etag}");
    let got = client.get_object().bucket(&bucket).key(KEY).send().await.unwrap();
    assert_eq!((got.content_type(), got.e_tag()), (Some("image/png"), Some(etag.as_str())));
    let body = got.body.collect().await.unwrap().to_vec();
    assert_eq!((body.len(), body[0], body[SMALLEST_PART - 1], body[SMALLEST_PART]), (SMALLEST_PART + 10, b'a', b'a', b'c'));
    let again = client.abort_multipart_upload().bucket(&bucket).key(KEY).upload_id(&id).send().await.unwrap_err();
    assert!(again.into_service_error().is_no_such_upload());
}

#[tokio::test]
async fn an_upload_is_not_completed_with_what_it_does_not_have() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let id = begin(&client, &bucket).await;
    let one = part(&client, &bucket, &id, 1, vec![b'a'; SMALLEST_PART]).await;
    let two = part(&client, &bucket, &id, 2, vec![b'b'; 10]).await;
    let refused = |code: &str| Err(code.to_owned());
    let forged = CompletedPart::builder().part_number(2).e_tag("\"00000000000000000000000000000000\"").build();
    assert_eq!(complete(&client, &bucket, &id, vec![one.clone(), forged]).await, refused("InvalidPart"));
    assert_eq!(complete(&client, &bucket, &id, vec![two, one]).await, refused("InvalidPartOrder"));
    assert!(!exists(&client, &bucket).await);
}

#[tokio::test]
async fn a_part_before_the_last_is_not_small() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let id = begin(&client, &bucket).await;
    let small = part(&client, &bucket, &id, 1, vec![b'a'; 10]).await;
    let last = part(&client, &bucket, &id, 2, vec![b'b'; 10]).await;
    assert_eq!(complete(&client, &bucket, &id, vec![small, last]).await, Err("EntityTooSmall".to_owned()));
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let id = begin(&client, &bucket).await;
    let only = part(&client, &bucket, &id, 1, vec![b'a'; 10]).await;
    client.abort_multipart_upload().bucket(&bucket).key(KEY).upload_id(&id).send().await.unwrap();
    assert_eq!(complete(&client, &bucket, &id, vec![only]).await, Err("NoSuchUpload".to_owned()));
    assert!(!exists(&client, &bucket).await);
}

#[tokio::test]
async fn what_was_begun_is_listed_page_by_page_until_it_ends() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let mut begun = Vec::new();
    for key in ["uploads/b", "uploads/a", "elsewhere/a", "uploads/a"] {
        let upload = client.create_multipart_upload().bucket(&bucket).key(key).send().await.unwrap();
        begun.push((key.to_owned(), upload.upload_id.unwrap()));
    }
    let mut wanted: Vec<_> = begun.iter().filter(|(key, _)| key.starts_with("uploads/")).cloned().collect();
    wanted.sort();
    for most in [1, 2, 3, 1000] {
        let (mut listed, mut after) = (Vec::new(), (None, None));
        loop {
            let list = client.list_multipart_uploads().bucket(&bucket).prefix("uploads/").max_uploads(most);
            let page = list.set_key_marker(after.0).set_upload_id_marker(after.1).send().await.unwrap();
            assert!(page.uploads().len() <= usize::try_from(most).unwrap());
            listed.extend(page.uploads().iter().map(|upload| (upload.key().unwrap().to_owned(), upload.upload_id().unwrap().to_owned())));
            if page.is_truncated != Some(true) {
                break;
            }
            after = (page.next_key_marker, page.next_upload_id_marker);
        }
        listed.sort();
        assert_eq!(listed, wanted, "by {most}");
    }
    for (key, id) in &wanted {
        client.abort_multipart_upload().bucket(&bucket).key(key).upload_id(id).send().await.unwrap();
    }
    let left = client.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
    assert_eq!(left.uploads().iter().map(|upload| upload.key().unwrap()).collect::<Vec<_>>(), ["elsewhere/a"]);
}
