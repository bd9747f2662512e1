//! Accounts, and whose a username or an e-mail address is.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update, builders::UpdateBuilder};
use serde::{Deserialize, Serialize};
use tintype_core::{SessionId, Time, UserId, name::Username, text as texts};
use tintype_tables::{
    Error, Key, Table,
    table::{Item, text},
    users::{self, Claim, Session},
    writes::{self, Transaction},
};

use crate::{email::Email, profiles::store::Profile};

/// Who may log in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) password_hash: String,
    /// How often the password was changed: a session that is older is over.
    #[serde(default)]
    pub(crate) password_version: u64,
    /// The session in which it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_changed_by: Option<SessionId>,
    pub(crate) created_at: Time,
    /// What the second factor's codes are made of, in base 32, once it is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) totp_secret: Option<String>,
    /// The same, until it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) totp_pending: Option<String>,
    /// The step of the last code that was used: neither it nor one before it is good again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) totp_last_step: Option<u64>,
    /// Hashes of the recovery codes that were not used yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) totp_recovery: Vec<String>,
}

impl Account {
    /// The account of a new person.
    pub(crate) fn new(email: &Email, password_hash: String, created_at: Time) -> Self {
        Self {
            email: email.as_str().to_owned(),
            password_hash,
            password_version: 0,
            password_changed_by: None,
            created_at,
            totp_secret: None,
            totp_pending: None,
            totp_last_step: None,
            totp_recovery: Vec::new(),
        }
    }
}

/// What somebody else has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Username,
    Email,
    Both,
}

/// Writes all that a new person is, at once: of two who want the same name or address at the same time, one gets it.
pub(crate) async fn create(users: &Table, account: &Account, profile: &Profile, session: &Session) -> Result<Result<(), Taken>, Error> {
    let id = profile.card.id;
    let claim = Claim { user_id: id };
    let mut transaction = Transaction::default();
    let username = transaction.push(writes::put_new(users, item(&users::name(&profile.card.username), &claim)?));
    let email = transaction.push(writes::put_new(users, item(&users::email(&account.email), &claim)?));
    transaction.push(writes::put_new(users, item(&users::account(id), account)?));
    transaction.push(writes::put(users, item(&users::profile(id), profile)?));
    transaction.push(writes::put(users, item(&users::session(id, session.id), session)?));
    match transaction.commit(users).await {
        Ok(()) => Ok(Ok(())),
        Err(Error::Condition(failed)) => match (username.is_in(&failed), email.is_in(&failed)) {
            (true, true) => Ok(Err(Taken::Both)),
            (true, false) => Ok(Err(Taken::Username)),
            (false, true) => Ok(Err(Taken::Email)),
            (false, false) => Err(Error::Condition(failed)),
        },
        Err(error) => Err(error),
    }
}

/// An item of `record` at `key`.
pub(crate) fn item(key: &Key, record: &impl Serialize) -> Result<Item, Error> {
    let mut item: Item = serde_dynamo::to_item(record)?;
    item.extend(key.item());
    Ok(item)
}

/// What somebody logs in with, in the one form that it is looked up and counted in, however it is typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Username(Username),
    Email(Email),
    /// Neither: it is nobody's.
    Neither(String),
}

impl Login {
    pub(crate) fn of(typed: &str) -> Self {
        let read = if typed.contains('@') { typed.parse().ok().map(Self::Email) } else { typed.trim().parse().ok().map(Self::Username) };
        read.unwrap_or_else(|| Self::Neither(texts::tidy(&texts::tidy(typed).to_lowercase())))
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Username(username) => username.as_str(),
            Self::Email(email) => email.as_str(),
            Self::Neither(text) => text,
        }
    }
}

/// Whose a login is.
pub(crate) async fn find_by_login(users: &Table, login: &Login) -> Result<Option<UserId>, Error> {
    match login {
        Login::Username(username) => users::find(users, username).await,
        Login::Email(email) => {
            let claim: Option<Claim> = users.get(&users::email(email.as_str()), true).await?;
            Ok(claim.map(|claim| claim.user_id))
        }
        Login::Neither(_) => Ok(None),
    }
}

/// A person's account.
pub(crate) async fn read(users: &Table, user: UserId) -> Result<Option<Account>, Error> {
    users.get(&users::account(user), true).await
}

/// An update of the account, to be shaped; `:hash` in its condition is the password's hash as it was read.
pub(crate) fn update(users: &Table, user: UserId, account: &Account) -> UpdateBuilder {
    Update::builder()
        .table_name(&users.name)
        .set_key(Some(users::account(user).item()))
        .expression_attribute_values(":hash", text(&account.password_hash))
}

/// The update as part of a transaction.
pub(crate) fn write(update: UpdateBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().update(update.build().expect("table, key and expression are set")).build()
}

/// Gives an account another address, at once; `false`: somebody has it.
pub(crate) async fn change_email(users: &Table, user: UserId, account: &Account, email: &Email) -> Result<bool, Error> {
    let release = Delete::builder()
        .table_name(&users.name)
        .set_key(Some(users::email(&account.email).item()))
        .condition_expression("user_id = :user")
        .expression_attribute_values(":user", text(user.to_string()));
    let change = update(users, user, account)
        .update_expression("SET email = :new")
        .condition_expression("email = :old AND password_hash = :hash")
        .expression_attribute_values(":new", text(email.as_str()))
        .expression_attribute_values(":old", text(&account.email));
    let mut transaction = Transaction::default();
    let claim = transaction.push(writes::put_new(users, item(&users::email(email.as_str()), &Claim { user_id: user })?));
    transaction.push(TransactWriteItem::builder().delete(release.build().expect("table and key are set")).build());
    transaction.push(write(change));
    match transaction.commit(users).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(failed)) if claim.is_in(&failed) => Ok(false),
        // Another change of the same account was faster: whoever asked may try again.
        Err(Error::Condition(_)) => Err(Error::Conflict),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_a_login_is_typed_it_is_one() {
        for (one, other) in [
            (" Ada ", "ada"),
            ("JOSE\u{301}@Example.org ", "jos\u{e9}@example.org"),
            ("Jose\u{301}", "jos\u{e9} "),
            ("@JOSE\u{301}", "@jos\u{e9}"),
        ] {
            assert_eq!(Login::of(one), Login::of(other), "{one}");
        }
        assert_ne!(Login::of("ada"), Login::of("ada@example.org"));
    }
}
