//! Worker processes: one that dies is replaced, and none outlives its host.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    harness::{
        Caller, Person, Ticket,
        photographs::{publish, telephone_photo},
        until,
    },
    process::{Host, Worker, all_end, folder},
};

#[tokio::test]
async fn when_workers_are_killed_the_next_request_is_served() {
    let folder = folder();
    let host = Host::start(folder.path());
    for _ in 0..3 {
        // Somebody new, so that neither the gateway nor a worker remembers an answer.
        let ada = Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
        ada.get("/me").await.expect(200);
        let mut victims = host.workers();
        victims.retain(|worker| matches!(worker.function.as_str(), "users" | "authorizer"));
        assert!(victims.len() >= 2, "both have worked: {victims:?}");
        victims.iter().for_each(Worker::kill);
        all_end(&victims);
        ada.patch("/me", json!({"bio": "served"})).await.expect(200);
    }
}

#[tokio::test]
async fn a_photograph_whose_worker_was_killed_over_it_is_published_all_the_same() {
    let folder = folder();
    let host = Host::start(folder.path());
    let ada = Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
    publish(&ada, "so that workers are there").await;
    // Large enough to be under way for a while.
    let photo = telephone_photo(1, 2400, 3200);
    for moment in [0, 20, 60, 120] {
        let ticket = Ticket::of(&ada, "killed over it", &[("image/jpeg", &photo)]).await;
        ticket.upload(&ada, 0, &photo).await.expect(200);
        // The fault's moment, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(moment)).await;
        host.workers().iter().for_each(Worker::kill);
        assert_eq!(ticket.settled(&ada).await["status"], "published", "killed after {moment} ms");
    }
}

#[tokio::test]
async fn killing_the_host_alone_leaves_no_worker_behind() {
    let folder = folder();
    let host = Host::start(folder.path());
    let ada = Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
    publish(&ada, "busy").await;
    let workers = host.kill();
    assert!(workers.len() >= 4, "{workers:?}");
    all_end(&workers);
}

#[tokio::test]
async fn ctrl_c_does_not_wait_for_a_function_that_hangs() {
    let folder = folder();
    let host = Host::start(folder.path());
    let nobody = Caller::nobody_at(&host.addresses);
    let (ada, bob) = (Person::sign_up_at(&nobody, "ada").await, Person::sign_up_at(&nobody, "bob").await);
    publish(&ada, "so that workers are there").await;
    let routers = || host.workers().into_iter().filter(|worker| worker.function == "event-router");
    until("the router has worked", Duration::from_secs(20), async || routers().next()).await;
    routers().for_each(|worker| worker.freeze());
    // The router gets this, and would have half a minute for it.
    bob.follow(&ada).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let started = Instant::now();
    let (status, workers) = host.interrupt();
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(workers.iter().all(|worker| !worker.is_running()), "they end before it does");
}

#[tokio::test]
async fn workers_start_also_when_a_build_has_replaced_the_program() {
    let folder = folder();
    let program = folder.path().join("tintype");
    fs::hard_link(env!("CARGO_BIN_EXE_tintype"), &program).expect("a link");
    let host = Host::start_program(&program, folder.path());
    fs::remove_file(program).expect("it is there");
    Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
}

#[tokio::test]
async fn ctrl_c_is_a_success_and_leaves_no_worker_behind() {
    let folder = folder();
    let host = Host::start(folder.path());
    let ada = Person::sign_up_at(&Caller::nobody_at(&host.addresses), "ada").await;
    publish(&ada, "busy").await;
    let (status, workers) = host.interrupt();
    assert!(status.success(), "{status}");
    assert!(workers.len() >= 4, "{workers:?}");
    assert!(workers.iter().all(|worker| !worker.is_running()), "they end before it does");
}
