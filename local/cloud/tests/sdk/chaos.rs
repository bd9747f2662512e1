//! Faults on demand, as the SDK meets them: the error that AWS would have sent, and nothing done; or done, and not said.

mod buckets;
mod queues;
mod stale;
mod streams;
mod tables;

use std::time::{Duration, Instant};

use aws_config::{SdkConfig, retry::RetryConfig};
use reqwest::{Client, Method, StatusCode};
use tintype_chaos::{Chaos, Fault};

use crate::host::{Host, MEDIA};

/// An SDK that takes the first answer.
fn without_retries(host: &Host) -> SdkConfig {
    host.sdk.clone().into_builder().retry_config(RetryConfig::disabled()).build()
}

/// A specification with a seed by which the first request is struck and the next two are not.
fn first_time(target: &str, fault: Fault, name: &str) -> String {
    let specs = (0..).map(|seed| format!("{target}:{name}=0.5;seed={seed}"));
    let strikes_first = |spec: &String| {
        let chaos = Chaos::new([]);
        chaos.set(spec).unwrap();
        let place = chaos.place(target);
        [(); 3].map(|()| place.strikes(fault)) == [true, false, false]
    };
    specs.into_iter().find(strikes_first).unwrap()
}

async fn switch(host: &Host, method: Method, spec: &'static str) -> (StatusCode, String) {
    let answer = Client::new().request(method, format!("{}/_tintype/chaos", host.url)).body(spec).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn faults_are_switched_on_and_off_while_it_runs() {
    let host = Host::start().await;
    let s3 = aws_sdk_s3::Client::new(&without_retries(&host));
    assert_eq!(switch(&host, Method::GET, "").await, (StatusCode::OK, String::new()));

    let on = (StatusCode::OK, "s3:error=1;seed=7\n".to_owned());
    assert_eq!(switch(&host, Method::PUT, "s3:error=1.0;seed=7\n").await, on);
    assert_eq!(switch(&host, Method::GET, "").await, on);
    s3.list_buckets().send().await.unwrap_err();

    let refused = switch(&host, Method::PUT, "s3:eror=1").await;
    let reason = "chaos: s3 has no fault `eror`; it has error, delay_ms, throttle, duplicate, reorder, lost_answer\n";
    assert_eq!(refused, (StatusCode::BAD_REQUEST, reason.to_owned()));
    assert_eq!(switch(&host, Method::POST, "s3:error=0").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(switch(&host, Method::GET, "").await, on, "what is in force stays");

    assert_eq!(switch(&host, Method::DELETE, "").await, (StatusCode::OK, String::new()));
    s3.list_buckets().send().await.unwrap();
}

#[tokio::test]
async fn a_specification_without_a_seed_is_answered_with_the_one_it_was_given() {
    let host = Host::start().await;
    let (_, in_force) = switch(&host, Method::PUT, "sqs:error=0.5").await;
    let seed = in_force.strip_prefix("sqs:error=0.5;seed=").and_then(|seed| seed.strip_suffix('\n')).unwrap();
    seed.parse::<u64>().unwrap();
}

#[tokio::test]
async fn answers_wait_as_long_as_they_are_told_to() {
    let host = Host::start().await;
    host.chaos.set("dynamodb:delay_ms=300;s3:delay_ms=300;sqs:delay_ms=300").unwrap();
    let started = Instant::now();
    tables::exists(&tables::client(&host), "one").await;
    assert!(started.elapsed() >= Duration::from_millis(300));
    host.s3().list_objects_v2().bucket(MEDIA).send().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(600));
    host.sqs().list_queues().send().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(900));
}

/// Whatever is done one after the other meets the same faults again from the same seed, in another process too.
#[tokio::test]
async fn the_same_seed_repeats_the_same_faults() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let host = Host::start().await;
        let client = tables::client(&host);
        host.chaos.set(&format!("dynamodb:error=0.2,throttle=0.2,conflict=0.3,unprocessed=0.5,lost_answer=0.2;seed={seed}")).unwrap();
        let mut outcomes = Vec::new();
        for number in 0..40 {
            outcomes.push(match number % 2 {
                0 => {
                    tables::outcome(client.put_item().table_name(tables::TABLE).set_item(Some(tables::item("one"))).send().await.map(drop))
                }
                _ => tables::outcome(tables::write_batch(&client, 10).await.map(|undone| undone.join(" "))),
            });
        }
        runs.push(outcomes);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

/// A request that one fault strikes is struck by it whatever the others do: they may at most come first.
#[tokio::test]
async fn another_fault_does_not_change_which_requests_the_first_strikes() {
    let host = Host::start().await;
    let client = tables::client(&host);
    let outcomes = async |spec: &str| -> Vec<String> {
        host.chaos.set(&format!("{spec};seed=11")).unwrap();
        let mut outcomes = Vec::new();
        for _ in 0..60 {
            let put = client.put_item().table_name(tables::TABLE).set_item(Some(tables::item("one")));
            outcomes.push(tables::outcome(put.send().await.map(drop)));
        }
        outcomes
    };
    let (throttle, conflict, lost) = ("ThrottlingException", "TransactionConflictException", "no answer");
    let alone = [
        (throttle, outcomes("dynamodb:throttle=0.4").await),
        (conflict, outcomes("dynamodb:conflict=0.4").await),
        (lost, outcomes("dynamodb:lost_answer=0.4").await),
    ];
    let all = outcomes("dynamodb:error=0.2,throttle=0.4,conflict=0.4,lost_answer=0.4").await;
    for (name, alone) in &alone {
        for (nth, (alone, together)) in alone.iter().zip(&all).enumerate() {
            assert!(together != name || alone == name, "{name} strikes request {nth} among others only");
            // What comes later strikes what the earlier ones have left.
            let is_left = together == "()";
            assert!(alone != name || !is_left, "{name} does not strike request {nth} among others");
        }
        assert!(all.iter().any(|outcome| outcome == name), "{name}: {all:?}");
    }
}
