//! An account that turns public approves all who wait.

use tintype_core::{Time, UserId, profile::ProfileCard};
use tintype_tables::{
    Error, Table,
    graph::{self, Approval},
    table::Query,
    users,
};
use tintype_telemetry as telemetry;

use crate::clock::Budget;

const PAGE: usize = 100;

/// Approves the requests to `user`, if the account is public: page by page, until none is left or the account is private again; `false`
/// if the time was up before.
///
/// No request comes after the account has turned public, so one pass finds all. What came twice, or was cut off, finds what is left.
pub(crate) async fn approve_all(users: &Table, user: UserId, budget: &Budget) -> Result<bool, Error> {
    let mut after = None;
    loop {
        let card: Option<ProfileCard> = users.get(&users::profile(user), true).await?;
        if card.is_none_or(|card| card.is_private) {
            return Ok(true);
        }
        let pk = users::partition(user);
        let query = Query { pk, prefix: Some(users::REQUESTS), after, descending: false, consistent: true, limit: PAGE };
        let page = users::edges(users, query).await?;
        // One after the other: all of them write the same few counters.
        for follower in page.items {
            if graph::approve(users, user, follower, Approval::TurnedPublic, Time::now()).await? {
                telemetry::count("approvals", 1);
            }
            if budget.is_spent() {
                return Ok(false);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(true);
        }
    }
}
