//! Sessions. One whose time is over is as good as deleted: DynamoDB gets to it later.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, ReturnConsumedCapacity, TransactWriteItem};
use axum::http::{HeaderMap, header};
use tintype_core::{SessionId, Time, UserId};
use tintype_tables::{
    Error, Page, Table,
    table::{Query, failure, number, text, write_units},
    users::{self, Session},
    writes::{self, Transaction},
};

use crate::{
    accounts::{
        self,
        store::{Account, item},
    },
    totp::SecondFactor,
};

/// How long a session lives after its tokens were last renewed.
const LIFETIME: Duration = Duration::from_hours(30 * 24);
/// A device's name for itself is cut here.
const MOST_USER_AGENT: usize = 200;

/// A session of the device that sent `headers`, begun with that password; it is not written yet.
pub(crate) fn begin(headers: &HeaderMap, now: Time, password_version: u64) -> Session {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Session {
        id: SessionId::new(),
        generation: 0,
        rotated_at: now,
        created_at: now,
        user_agent: user_agent.map(|text| text.chars().take(MOST_USER_AGENT).collect()),
        expires_at: now.plus(LIFETIME).as_seconds(),
        password_version,
    }
}

/// Writes a new session, if what it was proved with still holds: the password is the same, and the code was not used before. `false`: not.
pub(crate) async fn write(users: &Table, user: UserId, account: &Account, factor: &SecondFactor, session: &Session) -> Result<bool, Error> {
    let mut transaction = Transaction::default();
    transaction.push(writes::put(users, item(&users::session(user, session.id), session)?));
    transaction.push(proof(users, user, account, factor));
    match transaction.commit(users).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn proof(users: &Table, user: UserId, account: &Account, factor: &SecondFactor) -> TransactWriteItem {
    let secret = account.totp_secret.as_deref().unwrap_or_default();
    let used = |expression: &str, condition: &str| {
        accounts::store::update(users, user, account)
            .update_expression(expression)
            .condition_expression(format!("password_hash = :hash AND totp_secret = :secret AND {condition}"))
            .expression_attribute_values(":secret", text(secret))
    };
    match factor {
        SecondFactor::NotAsked => {
            let check = ConditionCheck::builder()
                .table_name(&users.name)
                .set_key(Some(users::account(user).item()))
                .condition_expression("password_hash = :hash AND attribute_not_exists(totp_secret)")
                .expression_attribute_values(":hash", text(&account.password_hash));
            TransactWriteItem::builder().condition_check(check.build().expect("table, key and condition are set")).build()
        }
        SecondFactor::Step(step) => {
            let update = used("SET totp_last_step = :step", "totp_last_step < :step");
            accounts::store::write(update.expression_attribute_values(":step", number(step)))
        }
        SecondFactor::Recovery(hash) => {
            let update = used("DELETE totp_recovery :codes", "contains(totp_recovery, :code)");
            let update = update.expression_attribute_values(":codes", AttributeValue::Ss(vec![hash.clone()]));
            accounts::store::write(update.expression_attribute_values(":code", text(hash)))
        }
    }
}

/// Goes on to the next generation, which is answered, and another 30 days. `None`: somebody else did, or the session has ended.
pub(crate) async fn advance(users: &Table, user: UserId, session: &Session, now: Time) -> Result<Option<u64>, Error> {
    let next = session.generation + 1;
    let request = users
        .client
        .update_item()
        .table_name(&users.name)
        .set_key(Some(users::session(user, session.id).item()))
        .update_expression("SET generation = :next, rotated_at = :now, expires_at = :expires_at")
        .condition_expression("generation = :generation")
        .expression_attribute_values(":next", number(next))
        .expression_attribute_values(":now", text(now.to_string()))
        .expression_attribute_values(":expires_at", number(now.plus(LIFETIME).as_seconds()))
        .expression_attribute_values(":generation", number(session.generation))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(Some(next))
        }
        Err(Error::Condition(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends a session; answers whether it was alive.
pub(crate) async fn end(users: &Table, user: UserId, session: SessionId, now: Time) -> Result<bool, Error> {
    let request = users
        .client
        .delete_item()
        .table_name(&users.name)
        .set_key(Some(users::session(user, session).item()))
        .condition_expression("expires_at > :now")
        .expression_attribute_values(":now", number(now.as_seconds()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(true)
        }
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A page of a person's sessions that are alive, the last log-in first. Consistent: whoever was logged out is gone from it.
pub(crate) async fn page(users: &Table, user: UserId, after: Option<String>, limit: usize, now: Time) -> Result<Page<Session>, Error> {
    let query = Query { pk: users::partition(user), prefix: Some(users::SESSIONS), after, descending: true, consistent: true, limit };
    let mut page: Page<Session> = users.query(query).await?;
    page.items.retain(|session| session.is_alive(now));
    Ok(page)
}
