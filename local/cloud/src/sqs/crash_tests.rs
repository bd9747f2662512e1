//! A process that serves queues is killed in the middle of it, again and again, and nothing that it has answered is lost.
//!
//! The process is this test's own binary, which runs [`a_process_that_serves_until_it_is_killed`] alone.

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use super::{Queues, TARGET_PREFIX, queue::Settings};

/// Names the folder, for the process that is to serve.
const FOLDER: &str = "TINTYPE_TEST_QUEUES";
const DATABASE: &str = "queues.db";
const ADDRESS: &str = "address";

/// How long after its first answer each process lives.
const LIVES_MS: [u64; 8] = [1, 5, 20, 50, 90, 150, 200, 300];

#[tokio::test]
async fn a_process_that_serves_until_it_is_killed() {
    // As one of many tests it has nothing to do.
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    // Whoever started it has its input; when they end, however they end, so does this.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let queues = Queues::open(&folder.join(DATABASE), &[], tintype_chaos::Chaos::new([]).place("sqs")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Renamed when it is written, so that nobody reads half of it.
    std::fs::write(folder.join("address.new"), address).unwrap();
    std::fs::rename(folder.join("address.new"), folder.join(ADDRESS)).unwrap();
    axum::serve(listener, Router::new().fallback(answer).with_state(queues)).await.unwrap();
}

async fn answer(State(queues): State<Queues>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let action = headers["x-amz-target"].to_str().unwrap().strip_prefix(TARGET_PREFIX).unwrap();
    let host = headers["host"].to_str().unwrap();
    queues.answer(action, host, &body).await.map(Body::from)
}

/// What clients know for certain.
#[derive(Default)]
struct Known {
    /// Bodies whose sending was answered.
    sent: BTreeSet<String>,
    /// Bodies whose deletion was answered.
    deleted: BTreeSet<String>,
    /// Bodies whose deletion was asked for, whatever came of it.
    perhaps_deleted: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_send_outlives_kill_and_nothing_deleted_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    {
        let queues = Queues::open(&folder.path().join(DATABASE), &[], tintype_chaos::Chaos::new([]).place("sqs")).unwrap();
        queues.store.save_queue("work", &Settings::new("work"), crate::unix_millis()).unwrap();
    }
    let known = Arc::new(Mutex::new(Known::default()));
    for (life, millis) in LIVES_MS.into_iter().enumerate() {
        let mut child = start(folder.path());
        let address = address(folder.path()).await;
        let mut clients = JoinSet::new();
        for client in 0..4 {
            let (known, address) = (known.clone(), address.clone());
            clients.spawn(async move { work(&address, &format!("{life}-{client}"), &known).await });
        }
        // The fault's moment, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(millis)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        // Their next request fails, and they end.
        clients.join_all().await;
    }

    let queues = Queues::open(&folder.path().join(DATABASE), &[], tintype_chaos::Chaos::new([]).place("sqs")).unwrap();
    queues.show_received("work").unwrap();
    let mut left = BTreeSet::new();
    loop {
        let received = queues.receive("work", 10, Duration::ZERO, Some(Duration::from_hours(1))).await.unwrap();
        if received.is_empty() {
            break;
        }
        for message in received {
            assert!(left.insert(message.body.clone()), "{} is there twice", message.body);
        }
    }
    let known = known.lock().unwrap();
    println!("{} sent, {} deleted, {} left", known.sent.len(), known.deleted.len(), left.len());
    assert!(known.sent.len() > 50 && known.deleted.len() > 10, "too little was done for a test");
    let lost: Vec<_> = known.sent.iter().filter(|body| !left.contains(*body) && !known.perhaps_deleted.contains(*body)).collect();
    assert!(lost.is_empty(), "answered and lost: {lost:?}");
    let back: Vec<_> = known.deleted.intersection(&left).collect();
    assert!(back.is_empty(), "deleted and there again: {back:?}");
}

fn start(folder: &Path) -> Child {
    let _ = std::fs::remove_file(folder.join(ADDRESS));
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqs::crash_tests::a_process_that_serves_until_it_is_killed"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Where the process serves, as soon as it does.
async fn address(folder: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(address) = std::fs::read_to_string(folder.join(ADDRESS)) {
            return address;
        }
        assert!(Instant::now() < deadline, "the process does not start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends, receives and deletes until nobody answers: of three messages two stay.
async fn work(address: &str, name: &str, known: &Mutex<Known>) {
    let client = reqwest::Client::new();
    let ask = async |action: &str, mut request: Value| -> Option<Value> {
        request["QueueUrl"] = "http://localhost/000000000000/work".into();
        let request = client.post(format!("http://{address}/")).header("x-amz-target", format!("{TARGET_PREFIX}{action}")).json(&request);
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), 200);
        response.json().await.ok()
    };
    for round in 0.. {
        for nth in 0..3 {
            let body = format!("{name}-{round}-{nth}");
            if ask("SendMessage", json!({"MessageBody": body})).await.is_none() {
                return;
            }
            known.lock().unwrap().sent.insert(body);
        }
        let Some(received) = ask("ReceiveMessage", json!({})).await else { return };
        let message = &received["Messages"][0];
        let body = message["Body"].as_str().unwrap().to_owned();
        assert!(!known.lock().unwrap().deleted.contains(&body), "{body} was deleted and is received");
        known.lock().unwrap().perhaps_deleted.insert(body.clone());
        if ask("DeleteMessage", json!({"ReceiptHandle": message["ReceiptHandle"]})).await.is_none() {
            return;
        }
        known.lock().unwrap().deleted.insert(body);
    }
}
