//! The limits, in one place: which requests are counted together, against whom, and how many there may be.
//!
//! | class | requests | counted by | policy | how, by default |
//! |---|---|---|---|---|
//! | reads | GET, HEAD | person, else address | 600 a minute | windows |
//! | writes | all others | person, else address | 120 a minute | GCRA |
//! | uploads | `POST /posts`, `PUT /me/avatar` | person, else address | 60 an hour | GCRA |
//! | sign-ins | `POST /accounts`, `POST /sessions` | address, whoever is logged in | 20 a minute | GCRA |
//!
//! What tells monitors and clients about the service itself is free: `/health`, `/openapi.json`, `/.well-known/jwks.json`.

use std::{env, time::Duration};

use http::Method;

/// How many requests there may be in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// As the answers' headers call it.
    pub name: &'static str,
    /// Requests in one window.
    pub quota: u32,
    /// The window.
    pub window: Duration,
    pub(crate) algorithm: Algorithm,
}

/// From so many requests a minute on, a write for each would cost too much, and nine too many matter little.
const OFTEN: u32 = 200;

/// How a policy is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Each request writes: exact.
    Gcra,
    /// Ten requests write once: some more may pass, 9 for each environment at most.
    Windows,
}

impl Policy {
    /// An exact limit, for what is asked less than [`OFTEN`]: `quota` at once, and as many in each `window` from then on.
    pub const fn gcra(name: &'static str, quota: u32, window: Duration) -> Self {
        Self { name, quota, window, algorithm: Algorithm::Gcra }
    }

    /// The cheap limit, for what is asked often.
    pub(crate) const fn windows(name: &'static str, quota: u32, window: Duration) -> Self {
        Self { name, quota, window, algorithm: Algorithm::Windows }
    }

    /// With another quota, kept in the way that suits it: what may be asked less often than [`OFTEN`] is counted exactly.
    fn with_quota(self, quota: u32) -> Self {
        let is_rare = u64::from(quota) * 60 < u64::from(OFTEN) * self.window.as_secs();
        let algorithm = if is_rare { Algorithm::Gcra } else { Algorithm::Windows };
        Self { quota, algorithm, ..self }
    }

    /// The same for somebody who may come so many times as often.
    #[must_use]
    pub const fn times(self, factor: u32) -> Self {
        Self { quota: self.quota.saturating_mul(factor), ..self }
    }
}

/// Which requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What changes nothing.
    Reads,
    /// What changes something.
    Writes,
    /// What hands out tickets for uploads, each of which costs a photograph's processing.
    Uploads,
    /// What hashes a password for somebody who is not logged in.
    SignIns,
}

impl Class {
    /// The class of a request by its method and its route, as the router has it; `None`: it is free.
    pub fn of(method: &Method, route: &str) -> Option<Self> {
        match (method, route) {
            (_, "/health" | "/openapi.json" | "/.well-known/jwks.json") | (&Method::OPTIONS, _) => None,
            (&Method::GET | &Method::HEAD, _) => Some(Self::Reads),
            (&Method::POST, "/accounts" | "/sessions") => Some(Self::SignIns),
            (&Method::POST, "/posts") | (&Method::PUT, "/me/avatar") => Some(Self::Uploads),
            _ => Some(Self::Writes),
        }
    }

    /// Whether the address counts also where a person is known.
    pub fn is_by_address(self) -> bool {
        self == Self::SignIns
    }
}

/// The policies of all classes.
#[derive(Debug, Clone, Copy)]
pub struct Policies {
    reads: Policy,
    writes: Policy,
    uploads: Policy,
    sign_ins: Policy,
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// As the template's parameters are, unless somebody changes them.
impl Default for Policies {
    fn default() -> Self {
        Self {
            reads: Policy::windows("reads", 600, MINUTE),
            writes: Policy::gcra("writes", 120, MINUTE),
            uploads: Policy::gcra("uploads", 60, HOUR),
            sign_ins: Policy::gcra("sign-ins", 20, MINUTE),
        }
    }
}

impl Policies {
    /// With the numbers of the environment's variables.
    pub fn from_env() -> Self {
        let number = |name: &str| env::var(name).ok();
        Self::with(number)
    }

    fn with(variable: impl Fn(&str) -> Option<String>) -> Self {
        let quota = |name: &str, policy: Policy| {
            let number = variable(name).and_then(|value| value.trim().parse().ok()).filter(|&number| number > 0);
            number.map_or(policy, |number| policy.with_quota(number))
        };
        let Self { reads, writes, uploads, sign_ins } = Self::default();
        Self {
            reads: quota("USER_READS_PER_MINUTE", reads),
            writes: quota("USER_WRITES_PER_MINUTE", writes),
            uploads: quota("UPLOADS_PER_HOUR", uploads),
            sign_ins: quota("SIGN_INS_PER_MINUTE", sign_ins),
        }
    }

    /// The policy of a class.
    pub fn of(&self, class: Class) -> Policy {
        match class {
            Class::Reads => self.reads,
            Class::Writes => self.writes,
            Class::Uploads => self.uploads,
            Class::SignIns => self.sign_ins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_the_class_that_the_table_says() {
        for (method, route, class) in [
            (Method::GET, "/feed", Some(Class::Reads)),
            (Method::HEAD, "/users/{username}", Some(Class::Reads)),
            (Method::GET, "/sessions", Some(Class::Reads)),
            (Method::PUT, "/users/{username}/follow", Some(Class::Writes)),
            (Method::POST, "/sessions/refresh", Some(Class::Writes)),
            (Method::DELETE, "/me/avatar", Some(Class::Writes)),
            (Method::POST, "/posts", Some(Class::Uploads)),
            (Method::PUT, "/me/avatar", Some(Class::Uploads)),
            (Method::POST, "/accounts", Some(Class::SignIns)),
            (Method::POST, "/sessions", Some(Class::SignIns)),
            (Method::GET, "/health", None),
            (Method::GET, "/openapi.json", None),
            (Method::GET, "/.well-known/jwks.json", None),
        ] {
            assert_eq!(Class::of(&method, route), class, "{method} {route}");
        }
    }

    #[test]
    fn the_environment_says_the_numbers_and_what_makes_no_sense_changes_nothing() {
        let policies = Policies::with(|name| match name {
            "USER_READS_PER_MINUTE" => Some("50".to_owned()),
            "USER_WRITES_PER_MINUTE" => Some("0".to_owned()),
            "UPLOADS_PER_HOUR" => Some("many".to_owned()),
            _ => None,
        });
        let quotas = [Class::Reads, Class::Writes, Class::Uploads, Class::SignIns].map(|class| policies.of(class).quota);
        assert_eq!(quotas, [50, 120, 60, 20]);
    }

    #[test]
    fn what_may_be_asked_seldom_is_counted_exactly_whatever_the_defaults_are() {
        let policies = |quota: &str| Policies::with(|_| Some(quota.to_owned()));
        let algorithm = |policies: Policies, class: Class| policies.of(class).algorithm;
        for class in [Class::Reads, Class::Writes, Class::SignIns] {
            assert_eq!(algorithm(policies("199"), class), Algorithm::Gcra, "{class:?}");
            assert_eq!(algorithm(policies("200"), class), Algorithm::Windows, "{class:?}");
        }
        assert_eq!(algorithm(policies("11999"), Class::Uploads), Algorithm::Gcra);
        assert_eq!(algorithm(policies("12000"), Class::Uploads), Algorithm::Windows);
    }
}
