//! Objects: what is put is read as it was put, under conditions, in ranges, and copied.

use aws_sdk_s3::{
    Client,
    error::ProvideErrorMetadata as _,
    primitives::ByteStream,
    types::{ChecksumMode, MetadataDirective},
};

use super::cloud::Cloud;

/// Characters that mean something in URLs, in XML or to a file system.
const SPECIAL_KEYS: [&str; 6] = ["uploads/a b+c%20d/é&=?#.jpg", "a//b", "../up", "<tag> \"quoted\"", "\u{1f305}/0", "trailing/slash/"];

async fn put(client: &Client, bucket: &str, key: &str, body: &'static [u8]) {
    client.put_object().bucket(bucket).key(key).body(ByteStream::from_static(body)).send().await.unwrap();
}

async fn read(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    client.get_object().bucket(bucket).key(key).send().await.unwrap().body.collect().await.unwrap().to_vec()
}

#[tokio::test]
async fn an_object_keeps_what_it_was_put_with() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let put = client.put_object().bucket(&bucket).key("public/a/w320.jpg").body(ByteStream::from_static(b"hello"));
    let put = put.content_type("image/jpeg").cache_control("max-age=31536000, immutable").metadata("width", "320");
    assert_eq!(put.send().await.unwrap().e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));

    let got = client.get_object().bucket(&bucket).key("public/a/w320.jpg").send().await.unwrap();
    assert_eq!((got.content_type(), got.cache_control()), (Some("image/jpeg"), Some("max-age=31536000, immutable")));
    assert_eq!((got.content_length(), got.e_tag()), (Some(5), Some("\"5d41402abc4b2a76b9719d911017c592\"")));
    assert_eq!(got.metadata().unwrap()["width"], "320");
    assert!(got.last_modified().is_some());
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    let head = client.head_object().bucket(&bucket).key("public/a/w320.jpg").send().await.unwrap();
    assert_eq!((head.content_length(), head.content_type()), (Some(5), Some("image/jpeg")));
    assert_eq!(head.metadata().unwrap()["width"], "320");
}

#[tokio::test]
async fn an_object_put_again_has_nothing_of_the_one_before() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let first = client.put_object().bucket(&bucket).key("a").body(ByteStream::from_static(b"longer than the next"));
    first.content_type("image/jpeg").metadata("width", "320").send().await.unwrap();
    put(&client, &bucket, "a", b"short").await;
    let got = client.get_object().bucket(&bucket).key("a").send().await.unwrap();
    assert_ne!(got.content_type(), Some("image/jpeg"));
    assert!(got.metadata().is_none_or(std::collections::HashMap::is_empty));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"short");
}

#[tokio::test]
async fn any_key_is_a_key() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    for key in SPECIAL_KEYS {
        client.put_object().bucket(&bucket).key(key).body(key.as_bytes().to_vec().into()).send().await.expect(key);
    }
    for key in SPECIAL_KEYS {
        assert_eq!(read(&client, &bucket, key).await, key.as_bytes(), "{key}");
    }
}

#[tokio::test]
async fn a_large_object_is_read_whole_and_in_ranges() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    client.put_object().bucket(&bucket).key("large").body(body.clone().into()).send().await.unwrap();
    assert!(read(&client, &bucket, "large").await == body);
    let get = async |range: &str| client.get_object().bucket(&bucket).key("large").range(range).send().await;
    for (range, expected, answered) in [
        ("bytes=1000000-1000009", 1_000_000..1_000_010, "bytes 1000000-1000009/3000000"),
        ("bytes=2999990-", 2_999_990..3_000_000, "bytes 2999990-2999999/3000000"),
        ("bytes=-5", 2_999_995..3_000_000, "bytes 2999995-2999999/3000000"),
        ("bytes=2999998-9999999", 2_999_998..3_000_000, "bytes 2999998-2999999/3000000"),
    ] {
        let part = get(range).await.unwrap();
        assert_eq!(part.content_range(), Some(answered), "{range}");
        assert_eq!(part.body.collect().await.unwrap().to_vec(), &body[expected], "{range}");
    }
    let beyond = get("bytes=3000000-").await.unwrap_err();
    assert_eq!(beyond.raw_response().unwrap().status().as_u16(), 416);
}

#[tokio::test]
async fn what_is_not_there_has_its_error() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let missing = client.get_object().bucket(&bucket).key("nothing").send().await;
    assert!(missing.unwrap_err().into_service_error().is_no_such_key());
    assert!(client.head_object().bucket(&bucket).key("nothing").send().await.unwrap_err().into_service_error().is_not_found());
    let nowhere = "tintype-test-nowhere";
    let elsewhere = client.put_object().bucket(nowhere).key("a").body(ByteStream::from_static(b"x")).send().await.unwrap_err();
    assert_eq!(elsewhere.code(), Some("NoSuchBucket"));
    assert!(client.head_bucket().bucket(nowhere).send().await.unwrap_err().into_service_error().is_not_found());
    client.head_bucket().bucket(&bucket).send().await.unwrap();
}

#[tokio::test]
async fn conditions_are_kept() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    put(&client, &bucket, "once", b"first").await;
    let again = client.put_object().bucket(&bucket).key("once").if_none_match("*").body(ByteStream::from_static(b"second")).send().await;
    assert_eq!(again.unwrap_err().code(), Some("PreconditionFailed"));
    assert_eq!(read(&client, &bucket, "once").await, b"first");
    let etag = client.head_object().bucket(&bucket).key("once").send().await.unwrap().e_tag.unwrap();
    let known = client.get_object().bucket(&bucket).key("once").if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(known.raw_response().unwrap().status().as_u16(), 304);
    client.get_object().bucket(&bucket).key("once").if_match(&etag).send().await.unwrap();
    let other = client.get_object().bucket(&bucket).key("once").if_match("\"00000000000000000000000000000000\"").send().await.unwrap_err();
    assert_eq!(other.raw_response().unwrap().status().as_u16(), 412);
}

#[tokio::test]
async fn a_checksum_is_verified_before_anything_is_stored() {
    let cloud = Cloud::start().await;
    let bucket = cloud.bucket().await;
    for client in [cloud.s3(), cloud.s3_with_trailers()] {
        let put = || client.put_object().bucket(&bucket).key("a").body(ByteStream::from_static(b"not nothing"));
        // The sums of nothing.
        let refused = put().checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").send().await.unwrap_err();
        assert_eq!(refused.code(), Some("BadDigest"));
        let refused = put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await.unwrap_err();
        assert_eq!(refused.code(), Some("BadDigest"));
        assert!(client.head_object().bucket(&bucket).key("a").send().await.is_err());
    }
}

#[tokio::test]
async fn a_body_with_its_checksum_behind_it_is_stored_without_the_framing() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3_with_trailers(), cloud.bucket().await);
    let body = vec![b'x'; 200_000];
    client.put_object().bucket(&bucket).key("a").body(body.clone().into()).send().await.unwrap();
    let got = client.get_object().bucket(&bucket).key("a").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(got.content_length(), Some(200_000));
    assert!(got.checksum_crc32().is_some());
    assert!(got.body.collect().await.unwrap().to_vec() == body);
}

#[tokio::test]
async fn an_object_copied_onto_itself_keeps_its_bytes_and_takes_new_metadata() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let (key, source) = ("uploads/post one/0", format!("{bucket}/uploads/post%20one/0"));
    let put = client.put_object().bucket(&bucket).key(key).body(ByteStream::from_static(b"photo"));
    put.content_type("image/png").metadata("attempt", "1").send().await.unwrap();

    let unchanged = client.copy_object().bucket(&bucket).key(key).copy_source(&source).send().await.unwrap_err();
    assert_eq!(unchanged.code(), Some("InvalidRequest"));
    let copy = client.copy_object().bucket(&bucket).key(key).copy_source(&source).metadata_directive(MetadataDirective::Replace);
    copy.content_type("image/jpeg").metadata("again", "2").send().await.unwrap();

    assert_eq!(read(&client, &bucket, key).await, b"photo");
    let head = client.head_object().bucket(&bucket).key(key).send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/jpeg"));
    assert_eq!(head.metadata().unwrap().iter().collect::<Vec<_>>(), [(&"again".to_owned(), &"2".to_owned())]);
}

#[tokio::test]
async fn a_copy_has_its_sources_metadata_and_outlives_it() {
    let cloud = Cloud::start().await;
    let (client, bucket) = (cloud.s3(), cloud.bucket().await);
    let put_source = client.put_object().bucket(&bucket).key("source").body(ByteStream::from_static(b"shared"));
    put_source.content_type("image/png").metadata("width", "320").send().await.unwrap();
    client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{bucket}/source")).send().await.unwrap();
    put(&client, &bucket, "source", b"replaced").await;
    client.delete_object().bucket(&bucket).key("source").send().await.unwrap();

    assert_eq!(read(&client, &bucket, "copy").await, b"shared");
    let head = client.head_object().bucket(&bucket).key("copy").send().await.unwrap();
    assert_eq!((head.content_type(), head.metadata().unwrap()["width"].as_str()), (Some("image/png"), "320"));
    let missing = client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{bucket}/source")).send().await.unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchKey"));
}
