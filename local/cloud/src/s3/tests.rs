//! The journal across the death of the process: simulated by what a crash leaves in the folder.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use s3s::{S3, S3Request, dto::PutObjectInput};
use tintype_chaos::Chaos;

use super::*;

type Delivered = Arc<Mutex<Vec<String>>>;

fn uploads() -> Vec<deployment::Bucket> {
    let notification = deployment::Notification {
        function: "photo-processor".to_owned(),
        events: vec!["s3:ObjectCreated:*".to_owned()],
        prefix: String::new(),
        suffix: ".jpg".to_owned(),
    };
    vec![deployment::Bucket { name: "uploads".to_owned(), notifications: vec![notification], cors: Vec::new() }]
}

/// A delivery that notes the key, or refuses, as one that dies before it has noted anything.
fn deliver(delivered: &Delivered, works: bool) -> Deliver {
    let delivered = delivered.clone();
    Arc::new(move |_, event| {
        if !works {
            return Err(state::Error::Unreadable("the process died".to_owned()));
        }
        let event: serde_json::Value = serde_json::from_slice(event).unwrap();
        delivered.lock().unwrap().push(event["Records"][0]["s3"]["object"]["key"].as_str().unwrap().to_owned());
        Ok(())
    })
}

async fn open(folder: &Path, deliver: Deliver) -> Buckets {
    open_with(folder, deliver, &Chaos::new([])).await
}

async fn open_with(folder: &Path, deliver: Deliver, chaos: &Chaos) -> Buckets {
    let credentials = Credentials { access_key: "key".to_owned(), secret_key: "secret".to_owned() };
    let control = Control::open(&folder.join("control.db")).unwrap();
    Buckets::open(&folder.join("s3"), &uploads(), control, &credentials, deliver, chaos.place("s3")).await.unwrap()
}

fn put(key: &str) -> S3Request<PutObjectInput> {
    let body = s3s::Body::from("photo".to_owned());
    let input = PutObjectInput::builder().bucket("uploads".to_owned()).key(key.to_owned()).body(Some(body.into())).build().unwrap();
    S3Request {
        input,
        method: http::Method::PUT,
        uri: http::Uri::default(),
        headers: http::HeaderMap::new(),
        extensions: http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

#[tokio::test]
async fn a_crash_between_stored_and_delivered_delivers_once() {
    let folder = tempfile::tempdir().unwrap();
    let delivered = Delivered::default();
    let buckets = open(folder.path(), deliver(&delivered, false)).await;
    buckets.store.put_object(put("a b.jpg")).await.unwrap();
    assert!(delivered.lock().unwrap().is_empty());
    drop(buckets);

    let buckets = open(folder.path(), deliver(&delivered, true)).await;
    assert_eq!(*delivered.lock().unwrap(), ["a+b.jpg"]);
    assert!(buckets.object("uploads", "a b.jpg").await.unwrap().is_some());
    drop(buckets);

    open(folder.path(), deliver(&delivered, true)).await;
    assert_eq!(delivered.lock().unwrap().len(), 1, "it is not delivered again");
}

#[tokio::test]
async fn a_crash_loses_nothing_that_is_held_back_or_to_come_twice() {
    let folder = tempfile::tempdir().unwrap();
    let delivered = Delivered::default();
    let chaos = Chaos::new([]);
    chaos.set("s3:reorder=1,duplicate=1").unwrap();
    let buckets = open_with(folder.path(), deliver(&delivered, true), &chaos).await;
    for key in ["a.jpg", "b.jpg"] {
        buckets.store.put_object(put(key)).await.unwrap();
    }
    assert!(delivered.lock().unwrap().is_empty(), "all are held back");
    drop(buckets);
    open(folder.path(), deliver(&delivered, true)).await;
    assert_eq!(*delivered.lock().unwrap(), ["a.jpg", "a.jpg", "b.jpg", "b.jpg"]);
}

#[tokio::test]
async fn what_could_not_be_delivered_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let delivered = Delivered::default();
    let (works, fails) = (deliver(&delivered, true), deliver(&delivered, false));
    let attempts = AtomicUsize::new(0);
    let second_time = Arc::new(move |function: &str, event: &[u8]| {
        let deliver = if attempts.fetch_add(1, Ordering::SeqCst) == 0 { &fails } else { &works };
        deliver(function, event)
    });
    let buckets = open(folder.path(), second_time).await;
    buckets.store.put_object(put("a.jpg")).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while delivered.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "it is not tried again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*delivered.lock().unwrap(), ["a.jpg"]);
}

#[tokio::test]
async fn what_is_journalled_for_a_function_that_is_gone_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let delivered = Delivered::default();
    let buckets = open(folder.path(), deliver(&delivered, false)).await;
    buckets.store.put_object(put("a.jpg")).await.unwrap();
    drop(buckets);
    let gone: Deliver = Arc::new(|function, _| Err(state::Error::Mismatch(format!("there is no function {function}"))));
    drop(open(folder.path(), gone).await);
    open(folder.path(), deliver(&delivered, true)).await;
    assert!(delivered.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_crash_before_the_object_is_stored_leaves_neither_object_nor_event() {
    let folder = tempfile::tempdir().unwrap();
    let delivered = Delivered::default();
    drop(open(folder.path(), deliver(&delivered, true)).await);
    // The body was being written, or was written but not yet named by the index.
    std::fs::write(folder.path().join("s3").join(uuid::Uuid::now_v7().to_string()), "pho").unwrap();
    std::fs::write(folder.path().join("s3/notes.txt"), "somebody else's").unwrap();

    let buckets = open(folder.path(), deliver(&delivered, true)).await;
    assert!(delivered.lock().unwrap().is_empty());
    let left: Vec<_> = std::fs::read_dir(folder.path().join("s3")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    assert_eq!(buckets.object("uploads", "a.jpg").await.unwrap(), None);
}

#[tokio::test]
async fn replaced_objects_leave_no_files_behind() {
    let folder = tempfile::tempdir().unwrap();
    let delivered = Delivered::default();
    let buckets = open(folder.path(), deliver(&delivered, true)).await;
    for key in ["a.jpg", "a.jpg", "a.png"] {
        buckets.store.put_object(put(key)).await.unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path().join("s3")).unwrap().count(), 2);
    assert_eq!(*delivered.lock().unwrap(), ["a.jpg", "a.jpg"], "the suffix is looked at");
}

#[tokio::test]
async fn an_event_that_is_not_emulated_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut buckets = uploads();
    buckets[0].notifications[0].events.push("s3:ObjectRemoved:Delete".to_owned());
    let control = Control::open(&folder.path().join("control.db")).unwrap();
    let credentials = Credentials { access_key: "key".to_owned(), secret_key: "secret".to_owned() };
    let refused = Buckets::open(
        &folder.path().join("s3"),
        &buckets,
        control,
        &credentials,
        deliver(&Delivered::default(), true),
        Chaos::new([]).place("s3"),
    )
    .await;
    assert!(refused.err().unwrap().to_string().contains("s3:ObjectRemoved:Delete"));
}
