//! Where a request comes from, and how often a password may be tried from there.
//!
//! A log-in is counted by login and address together, tightly, and by login alone, loosely: many addresses must not add up to many
//! guesses. The loose limit does not bind an address that has logged into the account before: so nobody can lock another out, whoever
//! wants to would have to come from that person's own address. What is typed is counted by its hash, and nobody's account like anybody's:
//! from being limited nothing can be told.

use std::{convert::Infallible, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{extract::FromRequestParts, http::request::Parts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use tintype_core::{Time, UserId};
use tintype_edge::{ClientAddress, Guarded, Problem};
use tintype_guard::{Address, Guard, Policy};
use tintype_tables::{
    Error, edge,
    table::{failure, number, write_units},
};
use tintype_telemetry as telemetry;

/// How often one address may try one login.
const LOG_INS: Policy = Policy::gcra("log-ins", 10, Duration::from_mins(10));
/// How often all addresses may try one login that have never succeeded with it.
const LOG_INS_OF_STRANGERS: Policy = Policy::gcra("log-ins-of-an-account", 100, Duration::from_mins(10));
/// How often they may try codes once they have the password: of a million, three are right at a time.
const CODES_OF_STRANGERS: Policy = Policy::gcra("second-factors-of-an-account", 10, Duration::from_hours(1));
/// How often somebody who is logged in may be asked for the password again: the session may be a thief's.
const CONFIRMATIONS: Policy = Policy::gcra("password-confirmations", 10, Duration::from_mins(10));

/// For how long an address that has logged in is remembered.
const MEMORY: Duration = Duration::from_hours(30 * 24);

/// Where a request comes from.
pub(crate) struct Caller {
    guard: std::sync::Arc<Guard>,
    address: Address,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Guarded(guard) = Guarded::from_request_parts(parts, state).await?;
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        Ok(Self { guard, address })
    }
}

/// Whether an address has logged into the account before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Known,
    Stranger,
}

impl Caller {
    /// Lets a log-in be tried, or answers 429. `user` is whose login it is, or, if it is nobody's, anybody.
    pub(crate) async fn may_log_in(&self, login: &str, user: UserId) -> Result<Standing, Problem> {
        let whom = hash(&[login.trim().to_lowercase().as_bytes()]);
        self.spend(LOG_INS, &edge::login(format!("{whom}#{}", self.address))).await?;
        let standing = self.standing(user).await;
        if standing == Standing::Stranger {
            self.spend(LOG_INS_OF_STRANGERS, &edge::login(whom)).await?;
        }
        Ok(standing)
    }

    /// Lets a second factor be tried, or answers 429.
    pub(crate) async fn may_try_code(&self, standing: Standing, user: UserId) -> Result<(), Problem> {
        if standing == Standing::Known { Ok(()) } else { self.spend(CODES_OF_STRANGERS, &edge::user(user)).await }
    }

    /// Lets somebody who is logged in confirm it by the password, or answers 429.
    pub(crate) async fn may_confirm(&self, user: UserId) -> Result<(), Problem> {
        self.spend(CONFIRMATIONS, &edge::user(user)).await
    }

    /// Counts a wrong password or code: an address that goes on with that is banned.
    pub(crate) async fn failed(&self) {
        self.guard.failed(self.address).await;
    }

    /// Remembers that `user` has logged in from here. If that fails, the address is a stranger's the next time, and no more.
    pub(crate) async fn succeeded(&self, user: UserId, now: Time) {
        let Some(table) = self.guard.table().filter(|_| self.address != Address::Unknown) else { return };
        let request = table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(edge::known_address(user, &self.hash_for(user)).item()))
            .update_expression("SET expires_at = :expires_at")
            .expression_attribute_values(":expires_at", number(now.plus(MEMORY).as_seconds()))
            .return_consumed_capacity(aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total);
        match Box::pin(request.send()).await.map_err(failure) {
            Ok(answer) => write_units(answer.consumed_capacity.as_slice()),
            Err(error) => telemetry::field("caller.error", error.to_string()),
        }
    }

    async fn standing(&self, user: UserId) -> Standing {
        #[derive(Deserialize)]
        struct Known {
            expires_at: i64,
        }
        let Some(table) = self.guard.table() else { return Standing::Stranger };
        let known: Result<Option<Known>, Error> = table.get(&edge::known_address(user, &self.hash_for(user)), false).await;
        match known {
            // DynamoDB deletes items late.
            Ok(Some(known)) if known.expires_at > Time::now().as_seconds() => Standing::Known,
            Ok(_) => Standing::Stranger,
            Err(error) => {
                telemetry::field("caller.error", error.to_string());
                Standing::Stranger
            }
        }
    }

    /// Salted with whose it is: that two people share an address can't be read.
    fn hash_for(&self, user: UserId) -> String {
        hash(&[user.to_string().as_bytes(), self.address.to_string().as_bytes()])
    }

    async fn spend(&self, policy: Policy, of: &str) -> Result<(), Problem> {
        let leeway = self.guard.leeway(self.address);
        self.guard.spend(&policy.times(leeway), of).await?;
        Ok(())
    }
}

fn hash(parts: &[&[u8]]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &parts.join(&0)))
}
