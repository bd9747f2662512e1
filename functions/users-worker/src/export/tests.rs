//! Archives of several parts, with a bucket in memory, and an invocation that is cut off before any of its requests.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    sync::{Arc, Mutex},
};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use tintype_buckets::Bucket;
use tintype_core::{
    media::Place,
    post::{ContentType, Draft, Photo, Post, Rendition, Variant},
};
use tintype_tables::posts;

use super::*;
use crate::tests::world;

/// Photographs are all of this size: three fill a part.
const PHOTO: usize = 3 * 1024 * 1024;

/// Buckets that have every photograph, and keep what is put into them.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Requests until the invocation is cut off.
    life: Option<usize>,
    uploads: HashMap<String, BTreeMap<usize, Vec<u8>>>,
    objects: HashMap<String, Vec<u8>>,
}

fn no_such_upload() -> (u16, Option<String>, Vec<u8>) {
    (404, None, b"<Error><Code>NoSuchUpload</Code></Error>".to_vec())
}

impl State {
    fn answer(&mut self, method: &str, uri: &str, body: Vec<u8>) -> (u16, Option<String>, Vec<u8>) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        let xml = |text: String| (200, None, format!(r#"<?xml version="1.0"?>{text}"#).into_bytes());
        match (method, value("uploadId"), value("partNumber")) {
            ("POST", None, _) if query.contains("delete") => {
                let body = String::from_utf8(body).unwrap();
                let keys: Vec<&str> = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).collect();
                self.objects.retain(|path, _| !keys.iter().any(|key| path.ends_with(key)));
                xml("<DeleteResult/>".to_owned())
            }
            ("POST", None, _) => {
                let id = format!("upload-{}", self.uploads.len());
                self.uploads.insert(id.clone(), BTreeMap::new());
                xml(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
            }
            ("PUT", Some(id), Some(number)) => {
                let Some(parts) = self.uploads.get_mut(&id) else { return no_such_upload() };
                let etag = format!("\"{}\"", body.len());
                parts.insert(number.parse().unwrap(), body);
                (200, Some(etag), Vec::new())
            }
            ("POST", Some(id), _) => match self.uploads.remove(&id) {
                Some(parts) => {
                    let (last, others) =
                        parts.values().collect::<Vec<_>>().split_last().map(|(last, others)| (last.len(), others.to_vec())).unwrap();
                    assert!(last > 0 && others.iter().all(|part| part.len() >= tintype_buckets::LEAST_PART), "the bucket takes no less");
                    self.objects.insert(path.to_owned(), parts.into_values().flatten().collect());
                    xml("<CompleteMultipartUploadResult/>".to_owned())
                }
                None => no_such_upload(),
            },
            ("DELETE", Some(id), _) => {
                self.uploads.remove(&id);
                (204, None, Vec::new())
            }
            ("PUT", None, _) => {
                self.objects.insert(path.to_owned(), body);
                (200, None, Vec::new())
            }
            ("HEAD" | "GET", ..) if path.contains("/exports/") => match self.objects.get(path) {
                Some(object) => (200, None, object.clone()),
                None => (404, None, Vec::new()),
            },
            ("GET", ..) => (200, None, vec![path.as_bytes()[path.len() - 5]; PHOTO]),
            other => panic!("{other:?} {uri}"),
        }
    }
}

impl HttpConnector for Memory {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.0.lock().unwrap();
        if let Some(life) = &mut state.life {
            if *life == 0 {
                return HttpConnectorFuture::ready(Err(ConnectorError::user("cut off".into())));
            }
            *life -= 1;
        }
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let is_head = request.method() == "HEAD";
        let (status, etag, body) = state.answer(request.method(), request.uri(), body);
        let length = body.len();
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), if is_head { Vec::new() } else { body }.into());
        response.headers_mut().insert("content-length", length.to_string());
        if let Some(etag) = etag {
            response.headers_mut().insert("etag", etag);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// Somebody with four posts of one photograph, and an export that they want.
async fn archivist(memory: &Memory) -> (Stores, UserId, JobId) {
    let connector = SharedHttpConnector::new(memory.clone());
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url("http://127.0.0.1:1")
        .force_path_style(true)
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()));
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let (stores, _) = world().await;
    let stores = Stores { media: Bucket::new(&client, "media"), exports: Bucket::new(&client, "exports"), ..stores };
    let (user, id) = (UserId::new(), JobId::new());
    stores.put(users::account(user), &[("email", "ada@example.org")]).await;
    stores.put(users::profile(user), &[("id", &user.to_string()), ("username", "ada"), ("display_name", "Ada")]).await;
    for _ in 0..4 {
        let photos = vec![Photo::announced(ContentType::Jpeg, 1, None, "00".repeat(16))];
        let post =
            Post::new(Draft { author_id: user, caption: String::new(), location: None, comments_enabled: true, photos }, Time::now());
        let post_id = post.id;
        posts::create(&stores.posts, post).await.unwrap();
        let variant = |name: &str, width| Variant { name: name.to_owned(), width, height: width, bytes: 1 };
        let rendition =
            Rendition { width: 1440, height: 1440, blurhash: String::new(), variants: vec![variant("w1440", 1440), variant("w320", 320)] };
        posts::finish_photo(&stores.posts, post_id, 0, rendition, Place::Public, Time::now()).await.unwrap();
    }
    stores.put(users::exporting(user), &[("job_id", &id.to_string())]).await;
    stores.put_item(jobs::item(&Export::new(id, user, Time::now())).unwrap()).await;
    (stores, user, id)
}

async fn job(stores: &Stores, user: UserId, id: JobId) -> Export {
    stores.users.get(&users::export(user, id), true).await.unwrap().unwrap()
}

/// As if whoever had it were dead for long enough.
async fn let_time_pass(stores: &Stores, user: UserId, id: JobId) {
    jobs::change(&stores.users, &users::export(user, id), |job: &mut Export| {
        (job.leased_until, job.course.deadline) = (Some(Time::now()), Some(Time::now()));
        job.course.is_running()
    })
    .await
    .unwrap();
}

fn unpack(memory: &Memory) -> Vec<(String, usize)> {
    let state = memory.0.lock().unwrap();
    let [archive] = state.objects.values().collect::<Vec<_>>().try_into().unwrap();
    let mut archive = tar::Archive::new(&archive[..]);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), contents.len())
    });
    entries.collect()
}

#[tokio::test]
async fn an_archive_is_whole_wherever_its_making_was_cut_off() {
    let memory = Memory::default();
    let (stores, user, id) = archivist(&memory).await;
    run(&stores, user, id).await.unwrap();
    assert_eq!(job(&stores, user, id).await.course.status, jobs::Status::Done);
    let expected = unpack(&memory);
    assert_eq!(expected.iter().filter(|(path, size)| path.ends_with("/0.jpg") && *size == PHOTO).count(), 4, "{expected:?}");

    // Four photographs, two parts, begin and end: each of these requests may be the first that is not made.
    for life in 0..8 {
        let memory = Memory::default();
        let (stores, user, id) = archivist(&memory).await;
        memory.0.lock().unwrap().life = Some(life);
        run(&stores, user, id).await.unwrap_err();
        let saved = job(&stores, user, id).await;
        assert!(saved.course.is_running(), "{life}");
        memory.0.lock().unwrap().life = None;
        // Whoever had it may still be at it.
        run(&stores, user, id).await.unwrap();
        assert_eq!(job(&stores, user, id).await, saved, "{life}");
        let_time_pass(&stores, user, id).await;
        overdue(&stores, user, id).await.unwrap();
        let done = job(&stores, user, id).await;
        assert_eq!(done.course.status, jobs::Status::Done, "{life}");
        let names = |files: Vec<(String, usize)>| {
            files.into_iter().map(|(path, size)| (path.split('/').next_back().unwrap().to_owned(), size)).collect::<Vec<_>>()
        };
        assert_eq!(names(unpack(&memory)), names(expected.clone()), "{life}");
        let archived = memory.0.lock().unwrap().objects.values().next().unwrap().len() as u64;
        assert_eq!(done.bytes, Some(archived), "{life}");
        let lock: Option<users::Exporting> = stores.users.get(&users::exporting(user), true).await.unwrap();
        assert!(lock.is_none(), "another can be asked for");
    }
}

#[tokio::test]
async fn an_archive_is_made_piece_by_piece_where_each_takes_all_the_time_there_is() {
    let memory = Memory::default();
    let (stores, user, id) = archivist(&memory).await;
    run(&stores, user, id).await.unwrap();
    let expected = unpack(&memory).len();

    let memory = Memory::default();
    let (stores, user, id) = archivist(&memory).await;
    // Account, picture, devices, six lists of people, four posts and an empty list of them, comments and likes: the last piece ends it.
    for _ in 0..15 {
        go_on(&stores, job(&stores, user, id).await, Budget::none()).await.unwrap();
        let saved = job(&stores, user, id).await;
        assert!(saved.course.is_running() && saved.course.is_waiting(saved.course.requested_at) && !saved.is_leased(Time::now()));
        assert_eq!(memory.0.lock().unwrap().objects.len(), usize::from(saved.archive.unwrap().rest.is_some()), "one rest at most");
    }
    go_on(&stores, job(&stores, user, id).await, Budget::none()).await.unwrap();
    assert_eq!(job(&stores, user, id).await.course.status, jobs::Status::Done);
    assert_eq!(unpack(&memory).len(), expected, "nothing else is left, and nothing is missing");
}

#[tokio::test]
async fn an_upload_that_was_begun_is_known_wherever_the_attempt_ended_and_goes_when_it_is_given_up() {
    let memory = Memory::default();
    let (stores, user, id) = archivist(&memory).await;
    // Begun, and no more.
    memory.0.lock().unwrap().life = Some(1);
    run(&stores, user, id).await.unwrap_err();
    memory.0.lock().unwrap().life = None;
    let begun = job(&stores, user, id).await;
    assert_eq!(begun.archive.as_ref().map(|archive| archive.upload_id.as_str()), Some("upload-0"));
    assert_eq!(memory.0.lock().unwrap().uploads.len(), 1);
    give_up(&stores, begun).await.unwrap();
    assert_eq!(memory.0.lock().unwrap().uploads.len(), 0);
}

#[tokio::test]
async fn an_archive_that_was_joined_just_before_the_end_is_done() {
    let memory = Memory::default();
    let (stores, user, id) = archivist(&memory).await;
    let before = job(&stores, user, id).await;
    run(&stores, user, id).await.unwrap();
    // As it was when the parts were all there, but not that they have been joined.
    let mut half = Export {
        archive: Some(Archive {
            upload_id: "upload-0".to_owned(),
            etags: vec!["\"1\"".to_owned()],
            bytes: 1,
            cursor: "null".to_owned(),
            rest: None,
        }),
        ..before
    };
    half.course.version = 99;
    stores.put_item(jobs::item(&half).unwrap()).await;
    memory.0.lock().unwrap().uploads.clear();
    assert!(matches!(go_on(&stores, half, Budget::of(Instant::now())).await, Ok(())));
    assert_eq!(job(&stores, user, id).await.course.status, jobs::Status::Done);
}

#[tokio::test]
async fn an_archive_that_can_not_be_made_fails_after_three_drives_and_another_can_be_asked_for() {
    let memory = Memory::default();
    let (stores, user, id) = archivist(&memory).await;
    memory.0.lock().unwrap().life = Some(0);
    run(&stores, user, id).await.unwrap_err();
    for _ in 0..jobs::MOST_DRIVES {
        let_time_pass(&stores, user, id).await;
        overdue(&stores, user, id).await.unwrap_err();
    }
    let_time_pass(&stores, user, id).await;
    overdue(&stores, user, id).await.unwrap();
    let failed = job(&stores, user, id).await;
    assert_eq!(failed.course.status, jobs::Status::Failed);
    assert!(failed.course.failure.is_some() && failed.course.expires_at.is_some() && failed.course.unfinished.is_none());
    let lock: Option<users::Exporting> = stores.users.get(&users::exporting(user), true).await.unwrap();
    assert!(lock.is_none());
}
