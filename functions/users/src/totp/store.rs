//! The second factor in the account's item. Each write is conditional on the password's hash that was just confirmed, and on what was read.

use aws_sdk_dynamodb::types::{AttributeValue, builders::UpdateBuilder};
use tintype_core::UserId;
use tintype_tables::{
    Error, Table,
    table::{number, text},
    writes::Transaction,
};

use super::code::Secret;
use crate::accounts::store::{Account, update, write};

/// Keeps a secret that waits for its first code; `false`: a second factor is on.
pub(super) async fn begin(users: &Table, user: UserId, account: &Account, secret: &Secret) -> Result<bool, Error> {
    let update = update(users, user, account)
        .update_expression("SET totp_pending = :pending")
        .condition_expression("password_hash = :hash AND attribute_not_exists(totp_secret)")
        .expression_attribute_values(":pending", text(secret.to_base32()));
    commit(users, update).await
}

/// Switches the second factor on, whose code of `step` is used with it; `false`: its secret does not wait any more.
pub(super) async fn enable(
    users: &Table,
    user: UserId,
    account: &Account,
    pending: &Secret,
    step: u64,
    recovery: Vec<String>,
) -> Result<bool, Error> {
    let update = update(users, user, account)
        .update_expression("SET totp_secret = :pending, totp_last_step = :step, totp_recovery = :recovery REMOVE totp_pending")
        .condition_expression("password_hash = :hash AND totp_pending = :pending AND attribute_not_exists(totp_secret)")
        .expression_attribute_values(":pending", text(pending.to_base32()))
        .expression_attribute_values(":step", number(step))
        // A set: one of them can be taken out without reading the others.
        .expression_attribute_values(":recovery", AttributeValue::Ss(recovery));
    commit(users, update).await
}

/// Removes all of it; what is not there is no failure.
pub(super) async fn disable(users: &Table, user: UserId, account: &Account) -> Result<(), Error> {
    let update = update(users, user, account)
        .update_expression("REMOVE totp_secret, totp_pending, totp_last_step, totp_recovery")
        .condition_expression("password_hash = :hash");
    if commit(users, update).await? { Ok(()) } else { Err(Error::Conflict) }
}

async fn commit(users: &Table, update: UpdateBuilder) -> Result<bool, Error> {
    let mut transaction = Transaction::default();
    transaction.push(write(update));
    match transaction.commit(users).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
