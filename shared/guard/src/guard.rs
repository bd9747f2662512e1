//! The guard: asks what memory can't tell of the table, and says who may pass.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use http::HeaderMap;
use thiserror::Error;
use tintype_core::{Time, UserId};
use tintype_tables::{Key, Table, config, edge, table::Item};
use tintype_telemetry as telemetry;

use crate::{
    address::Address,
    bans::{self, FAILURES, Record},
    gcra::{self, Gcra, between},
    memory::Memory,
    policy::{Algorithm, Class, Policies, Policy},
    store::{HANGS, Store, counts, whole},
    windows,
};

/// Of two steps one at most finds the table in another state than its memory; others may come between.
const MOST_STEPS: usize = 4;

/// Says who may pass. One an environment.
#[derive(Default)]
pub struct Guard {
    /// Without it all may pass.
    store: Option<Store>,
    origin_secret: String,
    loopback_leeway: u32,
    policies: Policies,
    memory: Memory,
}

/// What is left after a request that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// By which it was judged.
    pub policy: Policy,
    /// How many more would pass now.
    pub remaining: u64,
    /// Until all of the quota, or new quota, is there.
    pub reset: Duration,
}

/// A request that may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the quota of {} is exceeded", policy.name)]
pub struct Exceeded {
    /// Which it violates.
    pub policy: Policy,
    /// When to try again.
    pub retry_after: Duration,
}

impl Guard {
    /// The guard of the environment's variables; without `EDGE_TABLE` it lets all pass.
    pub fn from_env(client: &Client) -> Self {
        let store = Table::from_env_for(client, "EDGE_TABLE", HANGS).ok().map(Store::new);
        let loopback_leeway = config::variable("LOOPBACK_LEEWAY").ok().and_then(|leeway| leeway.parse().ok()).unwrap_or(1);
        let origin_secret = config::variable("ORIGIN_SECRET").unwrap_or_default();
        Self { store, origin_secret, loopback_leeway, policies: Policies::from_env(), memory: Memory::default() }
    }

    /// A guard with the default policies, for tests.
    pub fn new(table: Table) -> Self {
        Self { store: Some(Store::new(table)), ..Self::default() }
    }

    /// The Edge table, where there is one.
    pub fn table(&self) -> Option<&Table> {
        self.store.as_ref().map(|store| &store.table)
    }

    /// Where a request came from.
    pub fn address(&self, headers: &HeaderMap, source_ip: Option<&str>) -> Address {
        Address::of_request(headers, source_ip, &self.origin_secret)
    }

    /// How many times as much an address may do: more than once if it is of this machine, and the host is for development.
    pub fn leeway(&self, address: Address) -> u32 {
        if address.is_loopback() { self.loopback_leeway.max(1) } else { 1 }
    }

    /// Whether one more request of a class may pass; `None`: nobody counts.
    pub async fn admit(&self, class: Class, person: Option<UserId>, address: Address) -> Result<Option<Allowance>, Exceeded> {
        if self.store.is_none() {
            return Ok(None);
        }
        let policy = self.policies.of(class);
        let allowance = match person.filter(|_| !class.is_by_address()) {
            Some(person) => self.spend(&policy, &edge::user(person)).await,
            None => self.spend(&policy.times(self.leeway(address)), &edge::address(address)).await,
        };
        allowance.map(Some)
    }

    /// Whether one more may pass of what is counted under `policy` in `partition`, of the Edge table's; if so, it is counted.
    pub async fn spend(&self, policy: &Policy, partition: &str) -> Result<Allowance, Exceeded> {
        self.spend_at(policy, partition, Time::now).await
    }

    /// The same of what is counted by itself for each part of the partition, as the person's sessions.
    pub async fn spend_of_part(&self, policy: &Policy, partition: &str, part: &str) -> Result<Allowance, Exceeded> {
        self.spend_key(policy, edge::limit_of_part(partition, policy.name, part), Time::now).await
    }

    pub(crate) async fn spend_at(&self, policy: &Policy, partition: &str, clock: impl Fn() -> Time) -> Result<Allowance, Exceeded> {
        self.spend_key(policy, edge::limit(partition, policy.name), clock).await
    }

    async fn spend_key(&self, policy: &Policy, key: Key, clock: impl Fn() -> Time) -> Result<Allowance, Exceeded> {
        let Some(store) = &self.store else {
            return Ok(Allowance { policy: *policy, remaining: policy.quota.into(), reset: policy.window });
        };
        let result = match policy.algorithm {
            Algorithm::Gcra => self.step(store, policy, key, clock().as_millis() * 1000).await,
            Algorithm::Windows => self.count(store, policy, key, clock).await,
        };
        if result.is_err() {
            telemetry::field("limit.exceeded", policy.name);
        }
        result
    }

    async fn step(&self, store: &Store, policy: &Policy, key: Key, now: i64) -> Result<Allowance, Exceeded> {
        let rate = Gcra::new(policy, now);
        let allowance = |tat: i64| Allowance { policy: *policy, remaining: rate.remaining(tat), reset: rate.reset(tat) };
        let mut tat = self.memory.tat(&key);
        for _ in 0..MOST_STEPS {
            let step = rate.step(tat);
            if let gcra::Step::Refuse { at } = step {
                // `tat` never goes back: what memory refuses the table would refuse.
                return Err(Exceeded { policy: *policy, retry_after: between(now, at) });
            }
            let Ok(written) = store.step(&key, step, &rate, rate.expires_at()).await else { break };
            tat = whole(written.as_ref().unwrap_or_else(|item| item), "tat");
            self.memory.remember_tat(&key, tat, now);
            if written.is_ok() {
                return Ok(allowance(tat.unwrap_or(now)));
            }
        }
        // Without the table: by what this environment has seen.
        let passed = rate.pass(tat);
        self.memory.remember_tat(&key, Some(passed), now);
        Ok(allowance(passed))
    }

    async fn count(&self, store: &Store, policy: &Policy, key: Key, clock: impl Fn() -> Time) -> Result<Allowance, Exceeded> {
        let now = clock().as_millis();
        let mut step = self.memory.tally(&key, policy, now, |tally, _| tally.ask(policy, now));
        while let windows::Step::Settle(settlement) = step {
            let leftovers = self.memory.tally(&key, policy, now, |_, leftovers| leftovers.clone());
            let expires_at = now / 1000 + 3 * i64::try_from(policy.window.as_secs()).unwrap_or(0) + 3600;
            let settled = store.settle(&key, settlement, &leftovers, expires_at).await;
            let now = clock().as_millis();
            step = self.memory.tally(&key, policy, now, |tally, leftovers| {
                let Ok(item) = settled else {
                    tally.not_settled();
                    return windows::Step::Pass;
                };
                let counts = counts(&item);
                let of = |window: i64| counts.get(&window).copied().unwrap_or(0);
                *leftovers = counts.keys().copied().filter(|&window| window < settlement.window - 1).collect();
                tally.settled(policy, settlement, of(settlement.window), of(settlement.window - 1), now)
            });
        }
        if let windows::Step::Refuse { at } = step {
            let retry_after = Duration::from_millis(u64::try_from(at - now).unwrap_or(0));
            return Err(Exceeded { policy: *policy, retry_after });
        }
        let (remaining, reset) = self.memory.tally(&key, policy, now, |tally, _| (tally.remaining(policy, now), tally.reset(policy, now)));
        Ok(Allowance { policy: *policy, remaining, reset })
    }

    /// How long an address is banned still. What is known is taken for true for 10 s: half a read unit an address and environment
    /// in that time at most.
    pub async fn banned(&self, address: Address) -> Option<Duration> {
        let store = self.store.as_ref().filter(|_| address != Address::Unknown)?;
        let now = Time::now().as_millis();
        if let Some(record) = self.memory.record(address, now) {
            return record.left(now);
        }
        // An address whose record can't be read passes this time, and is asked for again the next.
        let item = store.read(&edge::ban(address)).await.ok()?;
        let record = item.as_ref().map(Record::of).unwrap_or_default();
        self.memory.remember_record(address, record, now);
        record.left(now)
    }

    /// Whether something is on record at this key, and has not expired. Without the table nothing is.
    pub async fn is_known(&self, key: &Key) -> bool {
        let Some(store) = &self.store else { return false };
        let item = store.read(key).await.ok().flatten();
        // DynamoDB deletes items late.
        item.and_then(|item| whole(&item, "expires_at")).is_some_and(|expires_at| expires_at > Time::now().as_seconds())
    }

    /// Puts it on record until then, if the table answers.
    pub async fn remember(&self, key: &Key, until: Time) {
        if let Some(store) = &self.store {
            // The log line has the error.
            let _ = store.remember(key, until.as_seconds()).await;
        }
    }

    /// One failure of an address: a token that nobody has signed, a wrong password, a route that does not exist. When there are too many,
    /// it is banned. Done before the answer, for an environment sleeps once it has answered; one write in the usual case, and
    /// none for an address that is known to be banned.
    pub async fn failed(&self, address: Address) {
        if let Some(store) = self.store.as_ref().filter(|_| address != Address::Unknown) {
            let now = Time::now().as_millis();
            if let Some(record) = self.fail(store, address, now).await {
                self.memory.remember_record(address, record, now);
            }
        }
    }

    /// What is known of the address then; `None` if the table does not answer: the failure is not counted.
    async fn fail(&self, store: &Store, address: Address, now: i64) -> Option<Record> {
        let rate = Gcra::new(&FAILURES.times(self.leeway(address)), now * 1000);
        let (key, expires_at) = (edge::ban(address), bans::expires_at(now));
        let known = self.memory.record(address, now);
        if known.is_some_and(|record| record.left(now).is_some()) {
            return known;
        }
        // Memory chooses the likelier form only: a ban begins the count anew, also one that another environment has pronounced.
        let mut step = match rate.step(known.and_then(|record| record.tat)) {
            gcra::Step::Refuse { .. } => rate.go_on(),
            step => step,
        };
        for _ in 0..MOST_STEPS {
            let record = match store.step(&key, step, &rate, expires_at).await.ok()? {
                Ok(item) => return Some(Record::of(&item)),
                Err(item) => Record::of(&item),
            };
            if record.left(now).is_some() {
                return Some(record);
            }
            step = rate.step(record.tat);
            if let gcra::Step::Refuse { .. } = step {
                let sentence = record.sentence(now);
                telemetry::field("ban.minutes", (sentence.until - now) / 60_000);
                let written = store.ban(&key, sentence.until, sentence.offences, record.banned_until, expires_at).await.ok()?;
                return Some(written.map_or_else(|item: Item| Record::of(&item), |_| sentence.record()));
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
