//! What changes in an inbox: each a look and a transaction, again until nobody else wrote in between.

use std::collections::{BTreeMap, HashMap};

use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;
use tintype_core::{
    Time, UserId,
    notification::{Cause, Inbox, Note},
};

use super::{CauseItem, GroupItem, STATE, find, group_item, group_key, inbox, note_item, parts, place, state_item, state_key};
use crate::{
    Error, Key, Table,
    graph::{commit, settle},
    table::Query,
    writes::{self, Transaction},
};

/// Causes taken back at once: each may be of another notification, which has a group, and a transaction takes 100 writes.
pub const TAKEN_BACK_AT_ONCE: usize = 30;

/// Somebody is told of `cause`. `false`: they were before.
pub async fn tell(table: &Table, recipient: UserId, cause: &Cause, now: Time) -> Result<bool, Error> {
    let sk = super::cause(cause.kind, cause.actor_id, &cause.subject);
    let told = Key::new(inbox(recipient), &sk);
    let group = cause.group(now);
    settle(|| async {
        let keys = [Some(state_key(recipient)), Some(told.clone()), group.as_ref().map(|group| group_key(recipient, group))];
        let mut seen = look(table, keys.into_iter().flatten().collect()).await?;
        if seen.take::<CauseItem>(&sk)?.is_some() {
            return Ok(Some(false));
        }
        let before: Option<Inbox> = seen.take(STATE)?;
        let grows = match seen.rest::<GroupItem>()?.into_values().next() {
            Some(GroupItem { place }) => table.get::<Note>(&Key::new(inbox(recipient), place), true).await?,
            None => None,
        };
        let (after, note) = before.clone().unwrap_or_default().tell(grows.as_ref(), cause, now);
        let mut transaction = Transaction::default();
        put_state(&mut transaction, table, recipient, before.as_ref(), &after)?;
        let cause = super::item(recipient, &sk, CauseItem::new(cause, &note))?;
        transaction.push(writes::put_new(table, cause));
        transaction.extend(grows.map(|grows| writes::delete(table, &Key::new(inbox(recipient), place(&grows)))));
        transaction.push(writes::put(table, note_item(recipient, &note)?));
        if let Some(group) = &note.group {
            transaction.push(writes::put(table, group_item(recipient, &note, group)?));
        }
        Ok(commit(transaction, table).await?.map(|()| true))
    })
    .await
}

/// Takes back what was told of these causes, by their sort keys; those that are not there were taken back before.
pub async fn take_back(table: &Table, recipient: UserId, causes: &[String]) -> Result<(), Error> {
    for causes in causes.chunks(TAKEN_BACK_AT_ONCE) {
        settle(|| take_back_some(table, recipient, causes)).await?;
    }
    Ok(())
}

async fn take_back_some(table: &Table, recipient: UserId, causes: &[String]) -> Result<Option<()>, Error> {
    let key = |sk: &str| Key::new(inbox(recipient), sk);
    let mut seen = look(table, causes.iter().map(|sk| key(sk)).chain([state_key(recipient)]).collect()).await?;
    let before: Option<Inbox> = seen.take(STATE)?;
    let told: Vec<CauseItem> = seen.rest()?.into_values().collect();
    let Some(before) = before.filter(|_| !told.is_empty()) else { return Ok(Some(())) };

    let groups: Vec<Key> = told.iter().filter_map(|cause| cause.group.as_deref()).map(|group| group_key(recipient, group)).collect();
    let groups: HashMap<String, GroupItem> = look(table, unique(groups)).await?.rest()?;
    let place_of = |cause: &CauseItem| match &cause.group {
        // The group's notification of now may be a later one, which knows nothing of this cause.
        Some(group) => groups
            .get(&group_key(recipient, group).sk)
            .filter(|group| parts(&group.place).map(|(_, id)| id) == cause.note)
            .map(|group| group.place.clone()),
        None => cause.place.clone(),
    };
    let mut actors: BTreeMap<String, Vec<UserId>> = BTreeMap::new();
    for cause in &told {
        if let Some(place) = place_of(cause) {
            actors.entry(place).or_default().extend(cause.actor_id);
        }
    }
    let notes: HashMap<String, Note> = look(table, actors.keys().map(|place| key(place)).collect()).await?.rest()?;

    let mut transaction = Transaction::default();
    let mut after = before.clone();
    for (place, note) in notes {
        let (inbox, left) = after.take_back(&note, &actors[&place]);
        after = inbox;
        match left {
            Some(left) => drop(transaction.push(writes::put(table, note_item(recipient, &left)?))),
            None => remove(&mut transaction, table, recipient, &note),
        }
    }
    for cause in &told {
        transaction.push(writes::delete_present(table, &key(&cause.sk)));
    }
    // The version rises by one, however many notifications there were.
    after.version = before.version + 1;
    put_state(&mut transaction, table, recipient, Some(&before), &after)?;
    commit(transaction, table).await
}

/// Removes a notification, whatever it says, that turned out to be about what is gone. Its causes stay, until they go by themselves or are taken
/// back: they are told of no more.
pub async fn drop_note(table: &Table, recipient: UserId, note: &Note) -> Result<(), Error> {
    let key = Key::new(inbox(recipient), place(note));
    settle(|| async {
        let mut seen = look(table, vec![state_key(recipient), key.clone()]).await?;
        // It may have grown meanwhile, or be gone.
        let (Some(before), Some(note)) = (seen.take::<Inbox>(STATE)?, seen.take::<Note>(&key.sk)?) else { return Ok(Some(())) };
        let mut all = note.clone();
        all.actor_count = 0;
        let (after, _) = before.take_back(&all, &[]);
        let mut transaction = Transaction::default();
        put_state(&mut transaction, table, recipient, Some(&before), &after)?;
        remove(&mut transaction, table, recipient, &note);
        commit(transaction, table).await
    })
    .await
}

/// Removes some of all that somebody was told, whatever it is; `false`: there was nothing (any more).
pub async fn remove_some(table: &Table, recipient: UserId) -> Result<bool, Error> {
    // The most that a transaction takes.
    let limit = 100;
    let query = Query { pk: inbox(recipient), prefix: None, after: None, descending: false, consistent: true, limit };
    let keys: Vec<Key> = table.query(query).await?.items;
    if keys.is_empty() {
        return Ok(false);
    }
    let mut transaction = Transaction::default();
    transaction.extend(keys.iter().map(|key| writes::delete(table, key)));
    transaction.commit(table).await?;
    Ok(true)
}

/// The person has read up to `up_to`: answers how many are unread now.
pub async fn mark_read(table: &Table, recipient: UserId, up_to: Time) -> Result<u64, Error> {
    settle(|| async {
        let Some(before) = table.get::<Inbox>(&state_key(recipient), true).await? else { return Ok(Some(0)) };
        let Some(up_to) = before.reads(up_to) else { return Ok(Some(before.unread)) };
        let is_all = before.latest == Some(up_to);
        let (left, oldest) = if is_all { (0, None) } else { find::count_after(table, recipient, up_to).await? };
        let after = before.read(up_to, left, oldest);
        let mut transaction = Transaction::default();
        put_state(&mut transaction, table, recipient, Some(&before), &after)?;
        Ok(commit(transaction, table).await?.map(|()| left))
    })
    .await
}

/// Replaces the state that was read; nobody else may have.
fn put_state(transaction: &mut Transaction, table: &Table, recipient: UserId, before: Option<&Inbox>, after: &Inbox) -> Result<(), Error> {
    let item = state_item(recipient, after)?;
    transaction.push(match before {
        Some(before) => writes::put_over(table, item, before.version),
        None => writes::put_new(table, item),
    });
    Ok(())
}

fn remove(transaction: &mut Transaction, table: &Table, recipient: UserId, note: &Note) {
    transaction.push(writes::delete(table, &Key::new(inbox(recipient), place(note))));
    transaction.extend(note.group.as_ref().map(|group| writes::delete(table, &group_key(recipient, group))));
}

/// Items of one inbox, of several kinds, by their sort keys.
struct Seen(HashMap<String, Value>);

impl Seen {
    /// Takes out the item at a sort key, if it is there.
    fn take<T: DeserializeOwned>(&mut self, sk: &str) -> Result<Option<T>, Error> {
        self.0.remove(sk).map(read).transpose()
    }

    /// All that are left.
    fn rest<T: DeserializeOwned>(self) -> Result<HashMap<String, T>, Error> {
        self.0.into_iter().map(|(sk, item)| Ok((sk, read(item)?))).collect()
    }
}

fn read<T: DeserializeOwned>(item: Value) -> Result<T, Error> {
    serde_json::from_value(item).map_err(|error| Error::Shape(serde_dynamo::Error::custom(error)))
}

/// Those items of one inbox that are there, as of now.
async fn look(table: &Table, keys: Vec<Key>) -> Result<Seen, Error> {
    let items: Vec<Value> = table.batch_get(&keys, true).await?;
    Ok(Seen(items.into_iter().filter_map(|item| Some((item.get("sk")?.as_str()?.to_owned(), item))).collect()))
}

/// A batch is refused if it asks for one item twice.
fn unique(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_by(|one, other| one.sk.cmp(&other.sk));
    keys.dedup();
    keys
}
