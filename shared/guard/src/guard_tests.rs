//! The guard with a table that does in memory what DynamoDB does with the guard's expressions.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::{
    Config,
    config::{BehaviorVersion, Credentials, Region},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use serde_json::{Value, json};

use super::*;

type Numbers = BTreeMap<String, i64>;

/// Items of numbers by their keys, and what was asked.
#[derive(Debug, Clone, Default)]
struct Edge(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<String, Numbers>,
    writes: u64,
    reads: u64,
    is_down: bool,
    /// It takes requests and never answers.
    is_silent: bool,
}

impl Edge {
    /// The guard of one environment.
    fn guard(&self) -> Guard {
        let connector = SharedHttpConnector::new(self.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Guard::new(Table { client: Client::from_conf(config.build()), name: "edge".to_owned() })
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

impl HttpConnector for Edge {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        if self.state(|state| state.is_silent) {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let (status, answer) = self.state(|state| state.answer(&asked));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), answer.to_string().into())))
    }
}

impl State {
    fn answer(&mut self, asked: &Value) -> (u16, Value) {
        if self.is_down {
            return (500, json!({"__type": "InternalServerError"}));
        }
        let key = format!("{} {}", asked["Key"]["pk"]["S"].as_str().unwrap(), asked["Key"]["sk"]["S"].as_str().unwrap());
        let item = self.items.get(&key).cloned();
        let Some(expression) = asked["UpdateExpression"].as_str() else {
            self.reads += 1;
            return (200, item.map_or_else(|| json!({}), |item| json!({"Item": attributes(&item)})));
        };
        self.writes += 1;
        let value = |name: &str| asked["ExpressionAttributeValues"][name]["N"].as_str().map(|text| text.parse::<i64>().unwrap());
        if let Some(condition) = asked["ConditionExpression"].as_str()
            && !holds(condition, &item.clone().unwrap_or_default(), &value)
        {
            let mut answer = json!({"__type": "ConditionalCheckFailedException"});
            if let Some(item) = &item {
                answer["Item"] = attributes(item);
            }
            return (400, answer);
        }
        let item = self.items.entry(key).or_default();
        update(expression, item, &value);
        (200, json!({"Attributes": attributes(item)}))
    }
}

/// `a OR b AND c`, of comparisons with values and `attribute_not_exists`.
fn holds(condition: &str, item: &Numbers, value: &impl Fn(&str) -> Option<i64>) -> bool {
    condition.split(" OR ").any(|all| {
        all.split(" AND ").all(|one| match *one.split(' ').collect::<Vec<_>>() {
            [name, sign, other] => item.get(name).zip(value(other)).is_some_and(|(&is, other)| match sign {
                "<=" => is <= other,
                ">" => is > other,
                "=" => is == other,
                _ => panic!("{sign}"),
            }),
            [absent] => !item.contains_key(absent.strip_prefix("attribute_not_exists(").unwrap().trim_end_matches(')')),
            _ => panic!("{one}"),
        })
    })
}

/// `SET a = :x, b = b + :y ADD c :z REMOVE d`.
fn update(expression: &str, item: &mut Numbers, value: &impl Fn(&str) -> Option<i64>) {
    let (rest, removed) = expression.split_once(" REMOVE ").unwrap_or((expression, ""));
    let (set, added) = rest.split_once(" ADD ").unwrap_or((rest, ""));
    for assignment in set.strip_prefix("SET ").unwrap().split(", ") {
        let (name, to) = assignment.split_once(" = ").unwrap();
        let number = match to.split_once(" + ") {
            Some((other, more)) => item[other] + value(more).unwrap(),
            None => value(to).unwrap(),
        };
        item.insert(name.to_owned(), number);
    }
    for addition in added.split(", ").filter(|addition| !addition.is_empty()) {
        let (name, more) = addition.split_once(' ').unwrap();
        *item.entry(name.to_owned()).or_default() += value(more).unwrap();
    }
    for name in removed.split(", ") {
        item.remove(name);
    }
}

fn attributes(item: &Numbers) -> Value {
    item.iter().map(|(name, number)| (name.clone(), json!({"N": number.to_string()}))).collect::<serde_json::Map<_, _>>().into()
}

const WRITES: Policy = Policy::gcra("writes", 120, Duration::from_mins(1));
const READS: Policy = Policy::windows("reads", 600, Duration::from_mins(1));
/// The beginning of a window.
const START: i64 = 1_790_000_040_000;

fn at(millis: i64) -> impl Fn() -> Time {
    move || Time::from_millis(START + millis).unwrap()
}

#[tokio::test]
async fn an_exact_limit_writes_once_a_request_and_not_at_all_for_what_it_refuses() {
    let edge = Edge::default();
    let guard = edge.guard();
    for left in (0..120).rev() {
        let allowance = guard.spend_at(&WRITES, "USER#a", at(0)).await.unwrap();
        assert_eq!((allowance.remaining, allowance.policy), (left, WRITES));
    }
    // The first two find nothing, and something: their forms are guessed right, for the memory tells.
    assert_eq!(edge.state(|state| state.writes), 120);
    for _ in 0..1000 {
        let exceeded = guard.spend_at(&WRITES, "USER#a", at(0)).await.unwrap_err();
        assert_eq!(exceeded, Exceeded { policy: WRITES, retry_after: Duration::from_millis(500) });
    }
    assert_eq!(edge.state(|state| state.writes), 120);
    guard.spend_at(&WRITES, "USER#b", at(0)).await.unwrap();
    guard.spend_at(&WRITES, "USER#a", at(500)).await.unwrap();
    guard.spend_at(&WRITES, "USER#a", at(500)).await.unwrap_err();
}

#[tokio::test]
async fn environments_share_an_exact_limit() {
    let edge = Edge::default();
    let guards = [edge.guard(), edge.guard(), edge.guard(), edge.guard()];
    let mut passed = 0;
    for request in 0..400 {
        passed += u32::from(guards[request % 4].spend_at(&WRITES, "USER#a", at(0)).await.is_ok());
    }
    assert_eq!(passed, 120);
    // One more for each environment that thought that nobody had come, and for each that finds out that the quota is spent.
    assert!(edge.state(|state| state.writes) <= 120 + 3 + 4, "{}", edge.state(|state| state.writes));
}

#[tokio::test]
async fn reads_write_once_for_ten_requests_and_environments_know_of_each_other() {
    let edge = Edge::default();
    let guards = [edge.guard(), edge.guard(), edge.guard()];
    let mut passed = 0;
    for request in 0..3000 {
        passed += u32::from(guards[request % 3].spend_at(&READS, "USER#a", at(0)).await.is_ok());
    }
    assert!((600..=600 + 9 * 3).contains(&passed), "{passed}");
    let (writes, reads) = edge.state(|state| (state.writes, state.reads));
    // Each environment finds out by a settlement of its own that there is no more; all that is refused after that is free.
    assert!(writes <= u64::from(passed) / 10 + 3 && reads == 0, "{writes} writes, {reads} reads for {passed} of 3000 requests");
}

#[tokio::test]
async fn a_count_of_the_last_window_is_seen_by_the_first_settlement_of_the_next_and_older_ones_go() {
    let edge = Edge::default();
    let busy = edge.guard();
    for _ in 0..600 {
        busy.spend_at(&READS, "USER#a", at(0)).await.unwrap();
    }
    // Half of the last window still counts; another environment learns it when it settles.
    let other = edge.guard();
    let mut passed = 0;
    while other.spend_at(&READS, "USER#a", at(90_000)).await.is_ok() {
        passed += 1;
    }
    assert_eq!(passed, 300);
    for window in 2..9 {
        for _ in 0..10 {
            other.spend_at(&READS, "USER#a", at(window * 60_000)).await.unwrap();
        }
    }
    let item = edge.state(|state| state.items["USER#a LIMIT#reads"].clone());
    assert!(item.keys().filter(|name| name.starts_with('n')).count() <= 3, "{item:?}");
}

#[tokio::test]
async fn a_table_that_is_down_lets_as_many_pass_and_is_left_alone_for_a_while() {
    let edge = Edge::default();
    edge.state(|state| state.is_down = true);
    let guard = edge.guard();
    for policy in [WRITES, READS] {
        let mut passed = 0;
        while guard.spend_at(&policy, "USER#a", at(0)).await.is_ok() {
            passed += 1;
        }
        assert_eq!(passed, policy.quota, "{}", policy.name);
    }
    assert_eq!((guard.banned(address()).await, edge.state(|state| state.items.len())), (None, 0));
    guard.failed(address()).await;
}

#[tokio::test]
async fn without_a_table_nobody_is_counted() {
    let guard = Guard::default();
    for _ in 0..1000 {
        guard.spend(&WRITES, "USER#a").await.unwrap();
        guard.failed(address()).await;
    }
    assert_eq!(guard.banned(address()).await, None);
}

fn address() -> Address {
    Address::of([192, 0, 2, 1].into())
}

#[tokio::test]
async fn who_fails_once_too_often_is_banned_everywhere_and_each_time_for_longer() {
    let edge = Edge::default();
    let (guard, other) = (edge.guard(), edge.guard());
    for _ in 0..20 {
        assert_eq!(guard.banned(address()).await, None);
        guard.failed(address()).await;
    }
    assert_eq!(edge.state(|state| (state.writes, state.reads)), (20, 1), "one write a failure, and one read for them all");
    guard.failed(address()).await;
    for guard in [&guard, &other] {
        let left = guard.banned(address()).await.unwrap();
        assert!(left <= Duration::from_mins(1) && left > Duration::from_secs(50), "{left:?}");
    }
    assert_eq!(guard.banned(Address::of([192, 0, 2, 2].into())).await, None);
    // What fails while banned costs nothing, and makes it no longer.
    let writes = edge.state(|state| state.writes);
    guard.failed(address()).await;
    assert_eq!(edge.state(|state| state.writes), writes);

    // The ban is over, by the table and for an environment that remembers nothing.
    let over = Time::now().as_millis() - 1000;
    edge.state(|state| state.items.get_mut("ADDRESS#192.0.2.1 BAN").unwrap().insert("banned_until".to_owned(), over));
    let later = edge.guard();
    assert_eq!(later.banned(address()).await, None);
    for _ in 0..21 {
        later.failed(address()).await;
    }
    let left = later.banned(address()).await.unwrap();
    assert!(left > Duration::from_secs(110) && left <= Duration::from_mins(2), "{left:?}");
}

#[tokio::test]
async fn an_address_that_nobody_knows_is_never_banned() {
    let edge = Edge::default();
    let guard = edge.guard();
    for _ in 0..100 {
        guard.failed(Address::Unknown).await;
    }
    assert_eq!((guard.banned(Address::Unknown).await, edge.state(|state| state.writes)), (None, 0));
}

#[tokio::test]
async fn an_address_whose_record_could_not_be_read_is_not_taken_for_free_of_bans() {
    let edge = Edge::default();
    let until = Time::now().as_millis() + 60_000;
    edge.state(|state| {
        state.items.insert("ADDRESS#192.0.2.1 BAN".to_owned(), Numbers::from([("banned_until".to_owned(), until)]));
        state.is_down = true;
    });
    let guard = edge.guard();
    assert_eq!(guard.banned(address()).await, None);
    edge.state(|state| state.is_down = false);
    // The table is left alone for two seconds.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(guard.banned(address()).await.is_some());
}

#[tokio::test]
async fn what_is_remembered_is_known_until_its_time_is_over() {
    let edge = Edge::default();
    let guard = edge.guard();
    let (key, now) = (Key::new("USER#a", "KNOWN#b"), Time::now());
    assert!(!guard.is_known(&key).await);
    guard.remember(&key, now.plus(Duration::from_mins(1))).await;
    assert!(edge.guard().is_known(&key).await && !guard.is_known(&Key::new("USER#b", "KNOWN#b")).await);
    guard.remember(&key, now).await;
    assert!(!guard.is_known(&key).await, "it has expired, and is there still");
}

#[tokio::test]
async fn a_table_that_does_not_answer_costs_what_is_remembered_and_a_third_of_a_second() {
    let edge = Edge::default();
    edge.state(|state| state.is_silent = true);
    let guard = edge.guard();
    let (key, asked) = (Key::new("USER#a", "KNOWN#b"), std::time::Instant::now());
    assert!(!guard.is_known(&key).await);
    guard.remember(&key, Time::now()).await;
    guard.spend_of_part(&WRITES, "USER#a", "session").await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn each_part_of_a_partition_has_a_quota_of_its_own() {
    let edge = Edge::default();
    let guard = edge.guard();
    let policy = Policy::gcra("confirmations", 2, Duration::from_mins(10));
    for _ in 0..2 {
        guard.spend_of_part(&policy, "USER#a", "one").await.unwrap();
    }
    guard.spend_of_part(&policy, "USER#a", "one").await.unwrap_err();
    guard.spend_of_part(&policy, "USER#a", "another").await.unwrap();
    assert!(edge.state(|state| state.items.contains_key("USER#a LIMIT#confirmations#one")));
}
