//! Accounts, and whose a username or an e-mail address is.

use serde::{Deserialize, Serialize};
use tintype_core::{Time, UserId, name::Username};
use tintype_tables::{
    Error, Key, Table,
    table::Item,
    users::{self, Claim, Session},
    writes::{self, Transaction},
};

use crate::{email::Email, profiles::store::Profile};

/// Who may log in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) created_at: Time,
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

/// Whose username or e-mail address `login` is: a username has no `@`. What is neither is nobody's.
pub(crate) async fn find_by_login(users: &Table, login: &str) -> Result<Option<UserId>, Error> {
    if !login.contains('@') {
        let Ok(username) = login.trim().parse::<Username>() else { return Ok(None) };
        return users::find(users, &username).await;
    }
    let Ok(email) = login.parse::<Email>() else { return Ok(None) };
    let claim: Option<Claim> = users.get(&users::email(email.as_str()), true).await?;
    Ok(claim.map(|claim| claim.user_id))
}

/// A person's account.
pub(crate) async fn read(users: &Table, user: UserId) -> Result<Option<Account>, Error> {
    users.get(&users::account(user), true).await
}
