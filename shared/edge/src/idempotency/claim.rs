//! A claim: who makes the thing that a key asks for, which id it gets, and whether it is made.
//!
//! Every step is one conditional write. A run that dies leaves its claim behind; once the lease is over, whoever sends the same
//! request again takes it over, with the id of the run that died: what that one had made already is found under it.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde::{Deserialize, Serialize};
use tintype_core::Time;
use tintype_tables::{
    Error, Key, Table,
    table::{back_off, failure, number, text, write_units},
};
use tintype_telemetry as telemetry;
use uuid::Uuid;

/// How long a run has its claim for itself. The gateway gives up after 29 s and every function of the API before that: nobody who
/// has a lease that is over is still at work.
const LEASE: Duration = Duration::from_secs(30);
/// How long the same key makes nothing twice.
const LIFETIME: Duration = Duration::from_hours(24);

/// The item of a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// SHA-256 of what was asked.
    fingerprint: String,
    /// Whose claim it is: each run draws its own.
    run: String,
    /// The id of what is made.
    made_id: String,
    /// The status of the answer, once it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<u16>,
    /// Milliseconds since 1970: until then it is nobody else's.
    leased_until: i64,
    /// Seconds since 1970: from then on it counts for nothing. The table removes it some time later.
    expires_at: i64,
}

/// What a claim that is there means for a run.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is the run's own: the answer to its write got lost.
    Own,
    /// It has expired.
    Expired,
    /// Something else was asked with this key.
    Reused,
    /// It is made, and was answered so.
    Answered(u16),
    /// Somebody is at it.
    InProgress,
    /// Whoever was at it is gone.
    Abandoned,
}

impl Stored {
    fn judge(&self, fingerprint: &str, run: &str, now: Time) -> Verdict {
        match self.answered {
            _ if self.expires_at <= now.as_seconds() => Verdict::Expired,
            _ if self.fingerprint != fingerprint => Verdict::Reused,
            Some(status) => Verdict::Answered(status),
            None if self.run == run => Verdict::Own,
            None if self.leased_until > now.as_millis() => Verdict::InProgress,
            None => Verdict::Abandoned,
        }
    }
}

/// Where claims are kept.
#[derive(Debug, Clone)]
pub struct Claims(Table);

/// What became of an attempt to claim a key.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The caller makes it, with this id.
    Claimed(Claim, String),
    /// It was made before.
    Answered { id: String, status: u16 },
    /// It is being made just now.
    InProgress,
    /// The key was used for something else.
    Reused,
}

/// A claim that a run holds.
#[derive(Debug)]
pub(super) struct Claim {
    table: Table,
    key: Key,
    run: String,
}

impl Claims {
    /// In the Edge table.
    pub fn new(edge: Table) -> Self {
        Self(edge)
    }

    /// Claims `key` for a request of this fingerprint, which is to make `id`.
    pub(super) async fn claim(&self, key: &Key, fingerprint: &str, id: &str) -> Result<Attempt, Error> {
        let run = Uuid::now_v7().simple().to_string();
        let claimed = |id: String| Ok(Attempt::Claimed(Claim { table: self.0.clone(), key: key.clone(), run: run.clone() }, id));
        let mut attempt = 0;
        loop {
            let now = Time::now();
            let new = Stored {
                fingerprint: fingerprint.to_owned(),
                run: run.clone(),
                made_id: id.to_owned(),
                answered: None,
                leased_until: now.plus(LEASE).as_millis(),
                expires_at: now.plus(LIFETIME).as_seconds(),
            };
            if self.put(key, &new, None, now).await? {
                return claimed(new.made_id);
            }
            // Gone between the two requests: it was released, and the next attempt gets it.
            if let Some(stored) = self.0.get::<Stored>(key, true).await? {
                match stored.judge(fingerprint, &run, now) {
                    Verdict::Own => return claimed(stored.made_id),
                    Verdict::Answered(status) => return Ok(Attempt::Answered { id: stored.made_id, status }),
                    Verdict::InProgress => return Ok(Attempt::InProgress),
                    Verdict::Reused => return Ok(Attempt::Reused),
                    Verdict::Expired => {}
                    Verdict::Abandoned => {
                        let taken = Stored { run: run.clone(), leased_until: new.leased_until, ..stored.clone() };
                        if self.put(key, &taken, Some(&stored.run), now).await? {
                            telemetry::field("idempotency.taken_over", true);
                            return claimed(taken.made_id);
                        }
                    }
                }
            }
            back_off(attempt).await?;
            attempt += 1;
        }
    }

    /// Writes a claim where there is none that counts, or in the place of one that `abandoned_by` still holds; whether it was written.
    async fn put(&self, key: &Key, claim: &Stored, abandoned_by: Option<&str>, now: Time) -> Result<bool, Error> {
        let mut item: tintype_tables::table::Item = serde_dynamo::to_item(claim)?;
        item.extend(key.item());
        let put = self.0.client.put_item().table_name(&self.0.name).set_item(Some(item));
        let put = match abandoned_by {
            Some(run) => put.condition_expression(UNANSWERED).expression_attribute_values(":run", text(run)),
            None => put
                .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
                .expression_attribute_values(":now", number(now.as_seconds())),
        };
        let answer = Box::pin(put.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await;
        held(answer.map(|answer| write_units(answer.consumed_capacity.as_slice())).map_err(failure))
    }
}

/// It is a run's own, and not made yet.
const UNANSWERED: &str = "run = :run AND attribute_not_exists(answered)";

/// What a run does with its claim in the end. That it can't be written is no reason to answer otherwise: the lease ends by itself,
/// and whoever comes then finds what was made.
impl Claim {
    /// It is made, and answered with `status`.
    pub(super) async fn answered(self, status: u16) {
        self.change("SET answered = :value", status.to_string()).await;
    }

    /// Perhaps it was made and perhaps not: whoever asks again may take it over at once.
    pub(super) async fn abandon(self) {
        self.change("SET leased_until = :value", 0.to_string()).await;
    }

    /// It was not made and can't be: the key is free, also for another request.
    pub(super) async fn release(self) {
        let delete = self.table.client.delete_item().table_name(&self.table.name).set_key(Some(self.key.item()));
        let delete = delete.condition_expression(UNANSWERED).expression_attribute_values(":run", text(&self.run));
        let answer = Box::pin(delete.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await;
        note(held(answer.map(|answer| write_units(answer.consumed_capacity.as_slice())).map_err(failure)));
    }

    async fn change(self, expression: &str, value: String) {
        let update = self.table.client.update_item().table_name(&self.table.name).set_key(Some(self.key.item()));
        let update = update.update_expression(expression).condition_expression(UNANSWERED);
        let update = update.expression_attribute_values(":run", text(&self.run)).expression_attribute_values(":value", number(value));
        let answer = Box::pin(update.return_consumed_capacity(ReturnConsumedCapacity::Total).send()).await;
        note(held(answer.map(|answer| write_units(answer.consumed_capacity.as_slice())).map_err(failure)));
    }
}

/// Whether a write's condition held.
fn held(result: Result<(), Error>) -> Result<bool, Error> {
    match result {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn note(result: Result<bool, Error>) {
    if let Err(error) = result {
        telemetry::field("idempotency.error", error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis).unwrap()
    }

    /// What the first run writes at `NOW`.
    fn first() -> Stored {
        Stored {
            fingerprint: "asked".to_owned(),
            run: "first".to_owned(),
            made_id: "id".to_owned(),
            answered: None,
            leased_until: at(NOW).plus(LEASE).as_millis(),
            expires_at: at(NOW).plus(LIFETIME).as_seconds(),
        }
    }

    #[test]
    fn a_twin_waits_as_long_as_the_first_run_may_be_at_work_and_then_takes_over() {
        for (after_millis, verdict) in [(0, Verdict::InProgress), (29_999, Verdict::InProgress), (30_000, Verdict::Abandoned)] {
            assert_eq!(first().judge("asked", "second", at(NOW + after_millis)), verdict, "{after_millis}");
        }
        assert_eq!(Stored { leased_until: 0, ..first() }.judge("asked", "second", at(NOW)), Verdict::Abandoned);
    }

    #[test]
    fn a_run_whose_answer_got_lost_knows_its_own_claim() {
        assert_eq!(first().judge("asked", "first", at(NOW)), Verdict::Own);
    }

    #[test]
    fn what_was_answered_is_answered_again_for_a_day_and_then_forgotten_by_the_clock() {
        let answered = Stored { answered: Some(202), ..first() };
        let day = 24 * 60 * 60 * 1000;
        for after_millis in [0, 60_000, day - 1000] {
            assert_eq!(answered.judge("asked", "second", at(NOW + after_millis)), Verdict::Answered(202), "{after_millis}");
        }
        for after_millis in [day, day + 1000, 10 * day] {
            assert_eq!(answered.judge("asked", "second", at(NOW + after_millis)), Verdict::Expired, "{after_millis}");
            assert_eq!(answered.judge("something else", "second", at(NOW + after_millis)), Verdict::Expired);
        }
    }

    #[test]
    fn another_request_with_the_same_key_is_told_whatever_became_of_the_first() {
        for stored in [first(), Stored { answered: Some(202), ..first() }, Stored { leased_until: 0, ..first() }] {
            assert_eq!(stored.judge("something else", "second", at(NOW)), Verdict::Reused);
        }
    }
}
