//! The people with the most followers, roughly: one item, kept by `users-worker`, read where people are suggested.

use serde::{Deserialize, Serialize};
use tintype_core::UserId;

use crate::{Error, Key, Table, table::Item, writes};

/// How many are kept: the item stays below 8 KB.
const KEPT: usize = 100;

/// The list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Popular {
    /// Grows with every write.
    pub version: u64,
    /// Most followers first; of as many, who signed up first.
    pub people: Vec<Ranked>,
}

/// A person in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// Who.
    pub user_id: UserId,
    /// How many followed them when it was written; off by a tenth at most.
    pub followers: i64,
}

/// Its key.
pub fn key() -> Key {
    Key::new("POPULAR", "POPULAR")
}

impl Popular {
    /// The list as it stands.
    pub async fn read(users: &Table, consistent: bool) -> Result<Self, Error> {
        Ok(users.get(&key(), consistent).await?.unwrap_or_default())
    }

    /// Notes how many follow a person. `false`: the list need not change. Small changes are not worth a write of the whole list,
    /// which everybody whom anybody follows would make.
    pub fn note(&mut self, user_id: UserId, followers: i64) -> bool {
        let noted = self.people.iter().find(|ranked| ranked.user_id == user_id).map(|ranked| ranked.followers);
        let is_worth_it = match noted {
            Some(noted) => (followers - noted).abs() * 10 > noted || followers == 0,
            None => followers > 0 && (self.people.len() < KEPT || self.people.last().is_some_and(|last| followers > last.followers)),
        };
        if is_worth_it {
            self.people.retain(|ranked| ranked.user_id != user_id);
            if followers > 0 {
                self.people.push(Ranked { user_id, followers });
            }
            self.people.sort_by_key(|ranked| (-ranked.followers, ranked.user_id));
            self.people.truncate(KEPT);
        }
        is_worth_it
    }

    /// Writes the list, if it is still the one that was read. `false`: it is another by now.
    pub async fn write(mut self, users: &Table) -> Result<bool, Error> {
        let read = self.version;
        self.version += 1;
        let mut item: Item = serde_dynamo::to_item(&self)?;
        item.extend(key().item());
        let write = if read == 0 { writes::put_new(users, item) } else { writes::put_over(users, item, read) };
        match users.transact(vec![write]).await {
            Ok(()) => Ok(true),
            Err(Error::Condition(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_followed_come_first_and_who_is_followed_by_nobody_is_not_there() {
        let people: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
        let mut popular = Popular::default();
        assert!(!popular.note(people[0], 0));
        assert!(popular.note(people[0], 2) && popular.note(people[1], 3) && popular.note(people[2], 2));
        let order: Vec<UserId> = popular.people.iter().map(|ranked| ranked.user_id).collect();
        assert_eq!(order, [people[1], people[0], people[2]]);
        assert!(popular.note(people[1], 0));
        assert_eq!(popular.people.len(), 2);
    }

    #[test]
    fn a_change_of_a_tenth_is_not_worth_a_write() {
        let who = UserId::new();
        let mut popular = Popular::default();
        popular.note(who, 100);
        assert!(!popular.note(who, 110) && !popular.note(who, 90));
        assert!(popular.note(who, 111));
        assert_eq!(popular.people, [Ranked { user_id: who, followers: 111 }]);
    }

    #[test]
    fn only_the_first_hundred_are_kept_and_who_has_more_followers_gets_in() {
        let mut popular = Popular::default();
        for followers in 1..=100 {
            assert!(popular.note(UserId::new(), followers));
        }
        assert!(!popular.note(UserId::new(), 1), "as many as the last is not more");
        let newcomer = UserId::new();
        assert!(popular.note(newcomer, 2));
        assert_eq!(popular.people.len(), KEPT);
        assert!(popular.people.iter().any(|ranked| ranked.user_id == newcomer) && popular.people.iter().all(|ranked| ranked.followers > 1));
    }
}
