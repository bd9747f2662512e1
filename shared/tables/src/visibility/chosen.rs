//! Pages of lists of people in which not everybody may be shown.

use tintype_core::UserId;

use crate::Page;

/// How many items are looked at at once where few of them may be shown.
const LOOKED_AT: usize = 1000;
/// How often that is done for a page.
const MOST_ROUNDS: usize = 4;

/// The making of a page of those people of a list who may be shown. Whoever makes it reads [`Self::limit`] keys after [`Self::after`], has
/// them looked at, and goes on until there is a page.
///
/// A cursor can be read by whoever has it: it names somebody who is shown, or, where none was in all that is looked at for a page, nobody.
pub(crate) struct Choice {
    start: Option<String>,
    most: usize,
    descending: bool,
    found: Vec<(String, UserId)>,
    rounds: usize,
    /// After which key to read on.
    pub(crate) after: Option<String>,
    /// How many keys to read.
    pub(crate) limit: usize,
}

impl Choice {
    /// Up to `most` people, from after the key `start` on; `descending`: highest keys first.
    pub(crate) fn new(start: Option<String>, most: usize, descending: bool) -> Self {
        // One more than is asked for tells whether there are more.
        Self { after: start.clone(), start, most, descending, found: Vec::new(), rounds: 0, limit: most + 1 }
    }

    /// Looks at what was read. `shown`: whom a key is about, if they may be shown. `nobody`: a place in the list from which on no key is
    /// missed if all were looked at up to this one, and which tells of nobody.
    pub(crate) fn look(
        &mut self,
        read: Page<String>,
        shown: impl Fn(&str) -> Option<UserId>,
        nobody: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Page<UserId>> {
        let nobody = read.items.last().and_then(|key| nobody(key));
        self.found.extend(read.items.into_iter().filter_map(|key| shown(&key).map(|person| (key, person))));
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

    fn page(&mut self, more: bool) -> Page<UserId> {
        let next = self.found.last().filter(|_| more).map(|(key, _)| key.clone());
        Page { items: self.found.drain(..).map(|(_, person)| person).collect(), next }
    }
}
