//! Objects: what is put is read, listed, copied and deleted.

use aws_sdk_s3::{
    Client,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective, ObjectIdentifier},
};

use crate::host::{Host, MEDIA, UPLOADS};

async fn put(client: &Client, key: &str, body: &'static [u8]) {
    client.put_object().bucket(MEDIA).key(key).body(ByteStream::from_static(body)).send().await.unwrap();
}

async fn read(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    client.get_object().bucket(bucket).key(key).send().await.unwrap().body.collect().await.unwrap().to_vec()
}

#[tokio::test]
async fn an_object_keeps_what_it_was_put_with_after_a_restart() {
    let host = Host::start().await;
    let put = host.s3().put_object().bucket(MEDIA).key("public/a/w320.jpg").body(ByteStream::from_static(b"hello"));
    let put = put.content_type("image/jpeg").cache_control("max-age=31536000, immutable").metadata("width", "320");
    assert_eq!(put.send().await.unwrap().e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));

    let host = host.restart().await;
    let got = host.s3().get_object().bucket(MEDIA).key("public/a/w320.jpg").send().await.unwrap();
    assert_eq!((got.content_type(), got.cache_control()), (Some("image/jpeg"), Some("max-age=31536000, immutable")));
    assert_eq!(got.metadata().unwrap()["width"], "320");
    assert_eq!(got.content_length(), Some(5));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    let head = host.s3().head_object().bucket(MEDIA).key("public/a/w320.jpg").send().await.unwrap();
    assert_eq!((head.content_length(), head.content_type()), (Some(5), Some("image/jpeg")));

    let object = host.buckets.object(MEDIA, "public/a/w320.jpg").await.unwrap().unwrap();
    assert_eq!((&*object.bytes, object.etag.as_str()), (&b"hello"[..], "\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(object.cache_control.as_deref(), Some("max-age=31536000, immutable"));
    assert_eq!(host.buckets.object(MEDIA, "public/b").await.unwrap(), None);
    assert_eq!(host.buckets.object("nowhere", "public/b").await.unwrap(), None);
}

#[tokio::test]
async fn a_large_object_is_streamed_and_read_in_ranges() {
    let host = Host::start().await;
    let client = host.s3();
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    client.put_object().bucket(MEDIA).key("large").body(body.clone().into()).send().await.unwrap();
    assert!(read(&client, MEDIA, "large").await == body);
    let range = client.get_object().bucket(MEDIA).key("large").range("bytes=1000000-1000009").send().await.unwrap();
    assert_eq!(range.content_range(), Some("bytes 1000000-1000009/3000000"));
    assert_eq!(range.body.collect().await.unwrap().to_vec(), &body[1_000_000..1_000_010]);
}

#[tokio::test]
async fn what_is_not_there_has_its_error() {
    let host = Host::start().await;
    let client = host.s3();
    let missing = client.get_object().bucket(MEDIA).key("nothing").send().await;
    assert!(missing.unwrap_err().into_service_error().is_no_such_key());
    assert!(client.head_object().bucket(MEDIA).key("nothing").send().await.unwrap_err().into_service_error().is_not_found());
    let elsewhere = client.put_object().bucket("nowhere").key("a").body(ByteStream::from_static(b"x")).send().await.unwrap_err();
    assert_eq!(elsewhere.into_service_error().meta().code(), Some("NoSuchBucket"));
    assert!(client.head_bucket().bucket("nowhere").send().await.unwrap_err().into_service_error().is_not_found());
}

#[tokio::test]
async fn conditions_are_kept() {
    let host = Host::start().await;
    let client = host.s3();
    put(&client, "once", b"first").await;
    let again = client.put_object().bucket(MEDIA).key("once").if_none_match("*").body(ByteStream::from_static(b"second")).send().await;
    assert_eq!(again.unwrap_err().into_service_error().meta().code(), Some("PreconditionFailed"));
    assert_eq!(read(&client, MEDIA, "once").await, b"first");
    let etag = client.head_object().bucket(MEDIA).key("once").send().await.unwrap().e_tag.unwrap();
    let known = client.get_object().bucket(MEDIA).key("once").if_none_match(etag).send().await.unwrap_err();
    assert_eq!(known.raw_response().unwrap().status().as_u16(), 304);
}

#[tokio::test]
async fn keys_are_listed_in_order_by_prefix_page_and_delimiter() {
    let host = Host::start().await;
    let client = host.s3();
    for key in ["a", "a/1", "a/2", "b/1", "c d+é", "z"] {
        put(&client, key, b"x").await;
    }
    let mut pages = client.list_objects_v2().bucket(MEDIA).max_keys(2).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(keys, ["a", "a/1", "a/2", "b/1", "c d+é", "z"]);

    let mut pages = client.list_objects_v2().bucket(MEDIA).delimiter("/").max_keys(2).into_paginator().send();
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        prefixes.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
    }
    assert_eq!((keys, prefixes), (vec!["a".into(), "c d+é".into(), "z".into()], vec!["a/".to_owned(), "b/".to_owned()]));

    let under = client.list_objects().bucket(MEDIA).prefix("a/").send().await.unwrap();
    assert_eq!(under.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["a/1", "a/2"]);
}

#[tokio::test]
async fn deleting_is_for_good_and_may_be_repeated() {
    let host = Host::start().await;
    let client = host.s3();
    for key in ["one", "two", "three"] {
        put(&client, key, b"x").await;
    }
    for _ in 0..2 {
        client.delete_object().bucket(MEDIA).key("one").send().await.unwrap();
    }
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(object("two")).objects(object("never there")).build().unwrap();
    let deleted = client.delete_objects().bucket(MEDIA).delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (2, 0));
    let left = client.list_objects_v2().bucket(MEDIA).send().await.unwrap();
    assert_eq!(left.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["three"]);
}

#[tokio::test]
async fn an_object_copied_onto_itself_keeps_its_bytes_and_raises_an_event() {
    let host = Host::start().await;
    let client = host.s3();
    let (key, source) = ("uploads/post one/0", format!("{UPLOADS}/uploads/post%20one/0"));
    client.put_object().bucket(UPLOADS).key(key).body(ByteStream::from_static(b"photo")).content_type("image/png").send().await.unwrap();

    let unchanged = client.copy_object().bucket(UPLOADS).key(key).copy_source(&source).send().await.unwrap_err();
    assert_eq!(unchanged.into_service_error().meta().code(), Some("InvalidRequest"));
    let copy = client.copy_object().bucket(UPLOADS).key(key).copy_source(&source).metadata_directive(MetadataDirective::Replace);
    copy.content_type("image/jpeg").metadata("attempt", "2").send().await.unwrap();

    assert_eq!(read(&client, UPLOADS, key).await, b"photo");
    let head = client.head_object().bucket(UPLOADS).key(key).send().await.unwrap();
    assert_eq!((head.content_type(), head.metadata().unwrap()["attempt"].as_str()), (Some("image/jpeg"), "2"));
    let event = |name: &str| (name.to_owned(), "uploads/post+one/0".to_owned());
    assert_eq!(host.events(), [event("ObjectCreated:Put"), event("ObjectCreated:Copy")]);
}

#[tokio::test]
async fn a_copy_outlives_its_source() {
    let host = Host::start().await;
    let client = host.s3();
    put(&client, "source", b"shared").await;
    client.copy_object().bucket(MEDIA).key("copy").copy_source(format!("{MEDIA}/source")).send().await.unwrap();
    put(&client, "source", b"replaced").await;
    client.delete_object().bucket(MEDIA).key("source").send().await.unwrap();
    let host = host.restart().await;
    assert_eq!(read(&host.s3(), MEDIA, "copy").await, b"shared");
}

#[tokio::test]
async fn a_multipart_upload_becomes_one_object_and_one_event() {
    let host = Host::start().await;
    let client = host.s3();
    let key = "uploads/large/0";
    let upload = client.create_multipart_upload().bucket(UPLOADS).key(key).content_type("image/png").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, byte, size) in [(1, b'a', 5 * 1024 * 1024), (2, b'b', 10)] {
        let part = client.upload_part().bucket(UPLOADS).key(key).upload_id(id).part_number(number).body(vec![byte; size].into());
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.send().await.unwrap().e_tag).build());
    }
    assert!(host.events().is_empty());
    let listed = client.list_parts().bucket(UPLOADS).key(key).upload_id(id).send().await.unwrap();
    assert_eq!(listed.parts().len(), 2);

    let completed = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = client.complete_multipart_upload().bucket(UPLOADS).key(key).upload_id(id).multipart_upload(completed).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    let body = read(&client, UPLOADS, key).await;
    assert_eq!((body.len(), body[0], body[body.len() - 1]), (5 * 1024 * 1024 + 10, b'a', b'b'));
    assert_eq!(host.events(), [("ObjectCreated:CompleteMultipartUpload".to_owned(), key.to_owned())]);
    let again = client.abort_multipart_upload().bucket(UPLOADS).key(key).upload_id(id).send().await.unwrap_err();
    assert!(again.into_service_error().is_no_such_upload());
}
