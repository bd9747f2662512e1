//! Objects of the template's buckets: they are there after a restart, and functions are told of them.

use aws_sdk_s3::{
    Client,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, MetadataDirective},
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
async fn an_object_copied_onto_itself_raises_an_event() {
    let host = Host::start().await;
    let client = host.s3();
    let (key, source) = ("uploads/post one/0", format!("{UPLOADS}/uploads/post%20one/0"));
    client.put_object().bucket(UPLOADS).key(key).body(ByteStream::from_static(b"photo")).send().await.unwrap();
    let copy = client.copy_object().bucket(UPLOADS).key(key).copy_source(&source).metadata_directive(MetadataDirective::Replace);
    copy.send().await.unwrap();
    let event = |name: &str| (name.to_owned(), "uploads/post+one/0".to_owned());
    assert_eq!(host.events(), [event("ObjectCreated:Put"), event("ObjectCreated:Copy")]);
}

#[tokio::test]
async fn a_copy_outlives_its_source_and_a_restart() {
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
async fn a_multipart_upload_raises_one_event() {
    let host = Host::start().await;
    let client = host.s3();
    let key = "uploads/large/0";
    let id = client.create_multipart_upload().bucket(UPLOADS).key(key).send().await.unwrap().upload_id.unwrap();
    let part = client.upload_part().bucket(UPLOADS).key(key).upload_id(&id).part_number(1).body(ByteStream::from_static(b"all of it"));
    let part = CompletedPart::builder().part_number(1).set_e_tag(part.send().await.unwrap().e_tag).build();
    assert!(host.events().is_empty());
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    client.complete_multipart_upload().bucket(UPLOADS).key(key).upload_id(&id).multipart_upload(parts).send().await.unwrap();
    assert_eq!(host.events(), [("ObjectCreated:CompleteMultipartUpload".to_owned(), key.to_owned())]);
}
