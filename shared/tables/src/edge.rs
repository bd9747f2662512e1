//! The Edge table: what stands between requests and the services. Written by the middleware of every HTTP function, and by the authorizer.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | Rate (GCRA) | `USER#{user}`, `ADDRESS#{address}` or `LOGIN#{hash}` | `LIMIT#{policy}[#{part}]` | `tat`: microseconds since 1970 | the edge, users |
//! | Rate (windows) | `USER#{user}` or `ADDRESS#{address}` | `LIMIT#{policy}` | `n{window}`: requests settled in that window, for this one and the last | the edge |
//! | Ban | `ADDRESS#{address}` | `BAN` | `tat` of failures; `banned_until`, in milliseconds since 1970; `offences` | the edge |
//! | Known | `USER#{user}` | `KNOWN#{hash of address}` | that the person has logged in from there in the last 30 days | users |
//! | Claim | `USER#{user}` | `KEY#{route}#{hash of key}` | an `Idempotency-Key`, and what it made | the edge |
//!
//! All have `expires_at`, in seconds since 1970. A window's count is one attribute (`n29833334`: minutes since 1970).
//!
//! What is about a person is in `USER#{user}`, and goes with them. What counts by address stays until it expires, for it is nobody's; and
//! so do tries to log in, hours at most: `LOGIN#` holds a SHA-256 of the username or address that was typed, whether or not it is
//! anybody's. It has no key, so whoever reads the table can try whether somebody's name was typed of late; they can read the Users table too.

use std::fmt::Display;

use tintype_core::UserId;

use crate::Key;

/// `pk` of all that one person's requests leave.
pub fn user(user: UserId) -> String {
    format!("USER#{user}")
}

/// `pk` of all that one address's requests leave.
pub fn address(address: impl Display) -> String {
    format!("ADDRESS#{address}")
}

/// `pk` of what is counted of log-ins: `whom` is a hash, never what somebody typed.
pub fn login(whom: impl Display) -> String {
    format!("LOGIN#{whom}")
}

/// What is counted under a policy.
pub fn limit(partition: &str, policy: &str) -> Key {
    Key::new(partition, format!("LIMIT#{policy}"))
}

/// What is counted under a policy of one part of a partition: of a person's session, or of an address, by its hash.
pub fn limit_of_part(partition: &str, policy: &str, part: impl Display) -> Key {
    Key::new(partition, format!("LIMIT#{policy}#{part}"))
}

/// How an address has failed, and until when it is banned.
pub fn ban(of: impl Display) -> Key {
    Key::new(address(of), "BAN")
}

/// What an `Idempotency-Key` stands for; `hash` is the key's, for keys are the clients' own text.
pub fn claim(of: UserId, route: &str, hash: &str) -> Key {
    Key::new(user(of), format!("KEY#{route}#{hash}"))
}

/// That somebody has logged in from an address, of which there is a hash.
pub fn known_address(of: UserId, hash: &str) -> Key {
    Key::new(user(of), format!("KNOWN#{hash}"))
}
