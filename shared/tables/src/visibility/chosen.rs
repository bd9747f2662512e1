//! Pages of lists in which not everything may be shown.

use crate::Page;

/// How many items are looked at at once where few of them may be shown.
const LOOKED_AT: usize = 1000;
/// How often that is done for a page.
const MOST_ROUNDS: usize = 4;

/// The making of a page of those people of a list, or of what they have made, that may be shown. Whoever makes it reads [`Self::limit`]
/// keys after [`Self::after`], has them looked at, and goes on until there is a page.
///
/// A cursor can be read by whoever has it: it names what is shown, or, where none was in all that is looked at for a page, nothing.
pub(crate) struct Choice<T> {
    start: Option<String>,
    most: usize,
    descending: bool,
    found: Vec<(String, T)>,
    rounds: usize,
    /// After which key to read on.
    pub(crate) after: Option<String>,
    /// How many keys to read; fewer do, where they cost much.
    pub(crate) limit: usize,
}

impl<T> Choice<T> {
    /// Up to `most` of them, from after the key `start` on; `descending`: highest keys first.
    pub(crate) fn new(start: Option<String>, most: usize, descending: bool) -> Self {
        // One more than is asked for tells whether there are more.
        Self { after: start.clone(), start, most, descending, found: Vec::new(), rounds: 0, limit: most + 1 }
    }

    /// Looks at what was read. `shown`: what a key is about, if it may be shown. `nobody`: a place in the list from which on no key is
    /// missed if all were looked at up to this one, and which tells of none.
    pub(crate) fn look(
        &mut self,
        read: Page<String>,
        mut shown: impl FnMut(&str) -> Option<T>,
        nobody: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Page<T>> {
        let nobody = read.items.last().and_then(|key| nobody(key));
        self.found.extend(read.items.into_iter().filter_map(|key| shown(&key).map(|found| (key, found))));
        let ended = read.next.is_none();
        if self.found.len() > self.most || ended {
            let more = self.found.len() > self.most;
            self.found.truncate(self.most);
            return Some(self.page(more));
        }
        self.rounds += 1;
        if self.rounds >= MOST_ROUNDS {
            if !self.found.is_empty() {
                return Some(self.page(true));
            }
            // Thousands of the same millisecond are read on to their end.
            let next = nobody.filter(|next| self.is_further(next));
            if next.is_some() {
                return Some(Page { items: Vec::new(), next });
            }
        }
        (self.after, self.limit) = (read.next, LOOKED_AT);
        None
    }

    fn is_further(&self, next: &String) -> bool {
        self.start.as_ref().is_none_or(|start| if self.descending { next < start } else { next > start })
    }

    fn page(&mut self, more: bool) -> Page<T> {
        let next = self.found.last().filter(|_| more).map(|(key, _)| key.clone());
        Page { items: self.found.drain(..).map(|(_, found)| found).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tintype_core::UserId;

    use super::*;

    /// What is read of a list of `keys` in its order.
    fn read(keys: &[String], choice: &Choice<UserId>) -> Page<String> {
        let start = choice
            .after
            .as_ref()
            .map_or(0, |after| keys.iter().position(|key| if choice.descending { key < after } else { key > after }).unwrap_or(keys.len()));
        let items: Vec<String> = keys[start..].iter().take(choice.limit).cloned().collect();
        let next = items.last().filter(|_| start + items.len() < keys.len()).cloned();
        Page { items, next }
    }

    /// All pages of a list whose keys are `{moment}#{person}`.
    fn pages(mut keys: Vec<String>, descending: bool, most: usize, hidden: &HashSet<UserId>) -> Vec<Page<UserId>> {
        keys.sort();
        if descending {
            keys.reverse();
        }
        let person = |key: &str| key.split_once('#').unwrap().1.parse::<UserId>().ok();
        let shown = |key: &str| person(key).filter(|person| !hidden.contains(person));
        // Ascending, from the beginning of the moment on; descending, from its end on.
        let nobody = |key: &str| {
            let moment: u32 = key.split_once('#').unwrap().0.parse().unwrap();
            Some(format!("{:05}#", if descending { moment + 1 } else { moment }))
        };
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let mut choice = Choice::new(after.take(), most, descending);
            let page = loop {
                let read = read(&keys, &choice);
                if let Some(page) = choice.look(read, shown, nobody) {
                    break page;
                }
            };
            after.clone_from(&page.next);
            pages.push(page);
            assert!(pages.len() < 100, "it gets on");
            if after.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn nobody_is_passed_over_or_named_where_thousands_are_hidden_in_either_direction() {
        let people: Vec<UserId> = (0..9_000).map(|_| UserId::new()).collect();
        let seen = [people[0], people[4_500], people[8_999]];
        let hidden: HashSet<UserId> = people.iter().copied().filter(|person| !seen.contains(person)).collect();
        // Three in each moment, or all but the first and the last in one.
        for moment in [|number: usize| number / 3, |number: usize| if number == 0 { 0 } else { 1 + number / 8_999 }] {
            let keys: Vec<String> = people.iter().enumerate().map(|(number, person)| format!("{:05}#{person}", moment(number))).collect();
            for descending in [false, true] {
                let pages = pages(keys.clone(), descending, 2, &hidden);
                let mut found: Vec<UserId> = pages.iter().flat_map(|page| page.items.clone()).collect();
                found.sort();
                assert_eq!(found, seen);
                let named = pages.iter().filter_map(|page| page.next.as_deref()?.split_once('#')?.1.parse::<UserId>().ok());
                assert!(named.into_iter().all(|person| seen.contains(&person)));
            }
        }
    }
}
