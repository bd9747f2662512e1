//! Where a request comes from, and how often a password may be tried from there.
//!
//! A log-in is counted by login and address together, tightly, and by login alone, loosely: many addresses must not add up to many
//! guesses. The loose limit does not bind an address that has logged into the account before: so nobody can lock another out, whoever
//! wants to would have to come from that person's own address. What is typed is counted by its hash, and nobody's account like anybody's:
//! from being limited nothing can be told.
//!
//! An address has logged in with a password and, where there is one, a second factor: when either changes, all are strangers again. Their
//! records need not be looked for then, as what they were made with is part of their names.
//!
//! All of it goes through the guard, which waits for the Edge table no longer than it does for its own sake: where that is slow, known
//! addresses are strangers for a while, and an environment counts by itself.

use std::{convert::Infallible, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{extract::FromRequestParts, http::request::Parts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tintype_auth::Identity;
use tintype_core::{Time, UserId};
use tintype_edge::{ClientAddress, Guarded, Problem};
use tintype_guard::{Address, Guard, Policy};
use tintype_tables::{Key, edge};

use crate::accounts::store::{Account, Login};

/// How often one address may try one login.
const LOG_INS: Policy = Policy::gcra("log-ins", 10, Duration::from_mins(10));
/// How often all addresses may try one login that have never succeeded with it.
const LOG_INS_OF_STRANGERS: Policy = Policy::gcra("log-ins-of-an-account", 100, Duration::from_mins(10));
/// How often one address may try codes once it has the password, or one session: of a million, three are right at a time.
const CODES: Policy = Policy::gcra("second-factors", 10, Duration::from_hours(1));
/// How often all addresses may try codes that have never succeeded with the account.
const CODES_OF_STRANGERS: Policy = Policy::gcra("second-factors-of-an-account", 10, Duration::from_hours(1));
/// How often a session may be asked for the password again: it may be a thief's, who must not keep the owner's from changing it.
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
    /// Lets a log-in be tried, or answers 429.
    pub(crate) async fn may_log_in(&self, login: &Login) -> Result<(), Problem> {
        self.spend(LOG_INS, &edge::login(format!("{}#{}", hash(&[login.as_str().as_bytes()]), self.address))).await
    }

    /// The same for strangers. `user` is whose login it is, or, if it is nobody's, anybody, without an account.
    pub(crate) async fn may_log_in_as(&self, login: &Login, user: UserId, account: Option<&Account>) -> Result<Standing, Problem> {
        if self.guard.is_known(&self.record(user, account)).await {
            return Ok(Standing::Known);
        }
        self.spend(LOG_INS_OF_STRANGERS, &edge::login(hash(&[login.as_str().as_bytes()]))).await?;
        Ok(Standing::Stranger)
    }

    /// Lets a second factor be tried, or answers 429.
    pub(crate) async fn may_try_code(&self, standing: Standing, user: UserId) -> Result<(), Problem> {
        self.spend_of_part(CODES, user, &self.hash_for(user, &[])).await?;
        if standing == Standing::Known { Ok(()) } else { self.spend(CODES_OF_STRANGERS, &edge::user(user)).await }
    }

    /// Lets somebody who is logged in try a second factor, or answers 429.
    pub(crate) async fn may_confirm_by_code(&self, viewer: Identity) -> Result<(), Problem> {
        self.spend_of_part(CODES, viewer.user_id, &viewer.session_id.to_string()).await
    }

    /// Lets somebody who is logged in confirm it by the password, or answers 429.
    pub(crate) async fn may_confirm(&self, viewer: Identity) -> Result<(), Problem> {
        self.spend_of_part(CONFIRMATIONS, viewer.user_id, &viewer.session_id.to_string()).await
    }

    /// Counts a wrong password or code: an address that goes on with that is banned.
    pub(crate) async fn failed(&self) {
        self.guard.failed(self.address).await;
    }

    /// Remembers that `user` has logged in from here, with what the account says now. If that fails, the address is a stranger's the next
    /// time, and no more.
    pub(crate) async fn succeeded(&self, user: UserId, account: &Account, now: Time) {
        if self.address != Address::Unknown {
            self.guard.remember(&self.record(user, Some(account)), now.plus(MEMORY)).await;
        }
    }

    /// Where it stands that somebody has logged in from here.
    fn record(&self, user: UserId, account: Option<&Account>) -> Key {
        let version = account.map_or(0, |account| account.password_version).to_string();
        let second_factor = account.and_then(|account| account.totp_secret.as_deref()).unwrap_or_default();
        edge::known_address(user, &self.hash_for(user, &[version.as_bytes(), second_factor.as_bytes()]))
    }

    /// Salted with whose it is: that two people share an address can't be read.
    fn hash_for(&self, user: UserId, more: &[&[u8]]) -> String {
        let (user, address) = (user.to_string(), self.address.to_string());
        hash(&[&[user.as_bytes(), address.as_bytes()], more].concat())
    }

    async fn spend(&self, policy: Policy, of: &str) -> Result<(), Problem> {
        let leeway = self.guard.leeway(self.address);
        self.guard.spend(&policy.times(leeway), of).await?;
        Ok(())
    }

    async fn spend_of_part(&self, policy: Policy, user: UserId, part: &str) -> Result<(), Problem> {
        let leeway = self.guard.leeway(self.address);
        self.guard.spend_of_part(&policy.times(leeway), &edge::user(user), part).await?;
        Ok(())
    }
}

fn hash(parts: &[&[u8]]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &parts.join(&0)))
}
