//! Inboxes against a naive reference, which keeps everything that happened and counts it anew each time.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;

/// The people and things of one inbox.
#[derive(Debug)]
struct World {
    people: Vec<UserId>,
    posts: Vec<PostId>,
    comments: Vec<CommentId>,
}

impl World {
    fn new() -> Self {
        let post = |_| PostId::new();
        Self { people: (0..14).map(|_| UserId::new()).collect(), posts: (0..2).map(post).collect(), comments: vec![CommentId::new()] }
    }

    fn cause(&self, kind: Kind, actor: usize, about: usize) -> Cause {
        let post_id = self.posts[about % self.posts.len()];
        let comment_id = self.comments[0];
        let comment = || Subject::Comment { comment_id, thread: comment_id, post_id: self.posts[0], excerpt: "Well".to_owned() };
        let subject = match kind {
            Kind::Follow | Kind::FollowRequest | Kind::FollowAccepted => Subject::Person,
            Kind::Like | Kind::Mention | Kind::PostFailed => Subject::Post(post_id),
            Kind::Comment | Kind::Reply | Kind::CommentLike => comment(),
            Kind::ExportReady => Subject::Export(JobId::new()),
        };
        let actor_id = (!matches!(kind, Kind::PostFailed | Kind::ExportReady)).then(|| self.people[actor % self.people.len()]);
        Cause { kind, actor_id, subject }
    }
}

/// What identifies a cause, as a key does.
type Id = (Kind, Option<UserId>, String);

fn id(cause: &Cause) -> Id {
    (cause.kind, cause.actor_id, format!("{:?}", cause.subject))
}

/// An inbox as the table keeps it.
#[derive(Debug, Default)]
struct Kept {
    inbox: Inbox,
    notes: BTreeMap<Time, Note>,
    groups: HashMap<String, Time>,
    /// Of each cause, its group or its notification's place.
    causes: HashMap<Id, Result<String, Time>>,
}

impl Kept {
    fn tell(&mut self, cause: &Cause, now: Time) {
        if self.causes.contains_key(&id(cause)) {
            return;
        }
        let group = cause.group(now);
        let grows = group.as_ref().and_then(|group| self.groups.get(group)).map(|at| self.notes[at].clone());
        let (inbox, note) = self.inbox.tell(grows.as_ref(), cause, now);
        if let Some(grows) = grows {
            self.notes.remove(&grows.updated_at);
        }
        self.causes.insert(id(cause), group.clone().ok_or(note.updated_at));
        self.groups.extend(group.map(|group| (group, note.updated_at)));
        assert!(self.notes.insert(note.updated_at, note).is_none(), "a place of its own");
        self.inbox = inbox;
    }

    fn take_back(&mut self, causes: &[Id]) {
        let of = self.causes[&causes[0]].clone();
        let at = of.map_or_else(|at| at, |group| self.groups[&group]);
        let note = self.notes[&at].clone();
        let actors: Vec<UserId> = causes.iter().filter_map(|(_, actor, _)| *actor).collect();
        let (inbox, left) = self.inbox.take_back(&note, &actors);
        self.inbox = inbox;
        self.notes.remove(&at);
        match left {
            Some(left) => drop(self.notes.insert(at, left)),
            None => drop(note.group.map(|group| self.groups.remove(&group))),
        }
        self.causes.retain(|cause, _| !causes.contains(cause));
    }

    fn read(&mut self, up_to: Time) {
        if let Some(up_to) = self.inbox.reads(up_to) {
            let mut left = self.notes.keys().copied().filter(|at| *at > up_to);
            let oldest = left.next();
            self.inbox = self.inbox.read(up_to, u64::from(oldest.is_some()) + left.count() as u64, oldest);
        }
    }
}

/// One thing that somebody was told, with all that belongs to it.
#[derive(Debug, Clone)]
struct Told {
    label: String,
    causes: Vec<Id>,
    /// Who can still be named.
    known: Vec<UserId>,
    is_read: bool,
}

/// The reference: what was told, the latest last.
#[derive(Debug, Default)]
struct Naive(Vec<Told>);

impl Naive {
    fn tell(&mut self, cause: &Cause, now: Time) {
        if self.0.iter().any(|told| told.causes.contains(&id(cause))) {
            return;
        }
        let day = now.as_seconds().div_euclid(86400);
        let label = match cause.kind {
            Kind::Follow => format!("follows of {day}"),
            Kind::Like | Kind::CommentLike => format!("{:?} of {day}: {:?}", cause.kind, cause.subject),
            _ => format!("alone: {:?}", id(cause)),
        };
        let place = self.0.iter().position(|told| told.label == label);
        let mut told = place.map_or(Told { label, causes: vec![], known: vec![], is_read: false }, |place| self.0.remove(place));
        told.causes.push(id(cause));
        told.known.extend(cause.actor_id);
        if told.known.len() > MOST_ACTORS {
            told.known.remove(0);
        }
        told.is_read = false;
        self.0.push(told);
    }

    fn take_back(&mut self, causes: &[Id]) {
        for told in &mut self.0 {
            told.causes.retain(|cause| !causes.contains(cause));
            let actors: Vec<_> = told.causes.iter().filter_map(|(_, actor, _)| *actor).collect();
            told.known.retain(|known| actors.contains(known));
        }
        self.0.retain(|told| !told.causes.is_empty());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Tell { kind: Kind, actor: usize, about: usize, later: i64 },
    Repeat(prop::sample::Index),
    TakeBack { note: prop::sample::Index, how_many: usize },
    Read(prop::sample::Index),
    ReadBeyond,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Clocks of two machines differ, and days end.
    let later = prop_oneof![4 => 0i64..50, 2 => -3000i64..3000, 1 => Just(7 * 3_600_000)];
    // Mostly what is grouped, so that groups grow beyond what is named.
    let kind = prop_oneof![
        3 => Just(Kind::Like),
        2 => Just(Kind::Follow),
        1 => prop::sample::select(&Kind::ALL[..]),
    ];
    let step = prop_oneof![
        8 => (kind, 0usize..14, 0usize..2, later).prop_map(|(kind, actor, about, later)| Step::Tell { kind, actor, about, later }),
        1 => any::<prop::sample::Index>().prop_map(Step::Repeat),
        2 => (any::<prop::sample::Index>(), 1usize..6).prop_map(|(note, how_many)| Step::TakeBack { note, how_many }),
        1 => any::<prop::sample::Index>().prop_map(Step::Read),
        1 => Just(Step::ReadBeyond),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_inbox_is_what_a_naive_one_is_whatever_happens_to_it(steps in steps()) {
        let world = World::new();
        let (mut kept, mut naive) = (Kept::default(), Naive::default());
        let mut now = Time::from_millis(1_790_000_000_000).unwrap();
        let mut causes: Vec<Cause> = Vec::new();
        for step in steps {
            let before = kept.inbox.clone();
            match step {
                Step::Tell { kind, actor, about, later } => {
                    now = Time::from_millis(now.as_millis() + later).unwrap();
                    let cause = world.cause(kind, actor, about);
                    kept.tell(&cause, now);
                    naive.tell(&cause, now);
                    causes.push(cause);
                }
                Step::Repeat(which) if !causes.is_empty() => {
                    let cause = which.get(&causes);
                    let was_told = kept.causes.contains_key(&id(cause));
                    kept.tell(cause, now);
                    naive.tell(cause, now);
                    prop_assert!(!was_told || kept.inbox == before, "of one cause somebody is told once");
                }
                Step::TakeBack { note, how_many } if !naive.0.is_empty() => {
                    let causes: Vec<Id> = note.get(&naive.0).causes.iter().take(how_many).cloned().collect();
                    kept.take_back(&causes);
                    naive.take_back(&causes);
                }
                Step::Read(which) if !naive.0.is_empty() => {
                    let place = which.index(naive.0.len());
                    let up_to = *kept.notes.keys().nth(place).unwrap();
                    kept.read(up_to);
                    naive.0[..=place].iter_mut().for_each(|told| told.is_read = true);
                }
                Step::ReadBeyond => {
                    kept.read(now.plus(Duration::from_hours(1000)));
                    naive.0.iter_mut().for_each(|told| told.is_read = true);
                }
                _ => {}
            }
            // In the same order, of the same people, and as many unread.
            prop_assert_eq!(kept.notes.len(), naive.0.len());
            for ((at, note), told) in kept.notes.iter().zip(&naive.0) {
                prop_assert_eq!(*at, note.updated_at);
                prop_assert_eq!(note.kind, told.causes[0].0);
                prop_assert_eq!(note.actors.iter().rev().copied().collect::<Vec<_>>(), told.known.clone());
                let acted = told.causes.iter().filter(|(_, actor, _)| actor.is_some()).count();
                prop_assert_eq!(note.actor_count, acted as u64);
                prop_assert_eq!(!kept.inbox.is_unread(*at), told.is_read);
                prop_assert_eq!(note.expires_at, at.plus(LIFETIME).as_seconds());
            }
            let unread: Vec<Time> = kept.notes.keys().copied().filter(|at| kept.inbox.is_unread(*at)).collect();
            prop_assert_eq!(kept.inbox.unread, unread.len() as u64);
            // The bound that says when they are counted anew.
            prop_assert_eq!(kept.inbox.unread_since.is_some(), !unread.is_empty());
            prop_assert!(unread.first().is_none_or(|oldest| kept.inbox.unread_since <= Some(*oldest)));
            prop_assert!(kept.inbox.read_up_to <= kept.inbox.latest);
            prop_assert!(kept.inbox == before || kept.inbox.version > before.version);
        }
    }
}

#[test]
fn likes_of_one_post_and_follows_of_one_day_are_one_notification_and_all_else_stands_alone() {
    let world = World::new();
    let (noon, midnight) = ("2026-11-20T12:00:00.000Z".parse::<Time>().unwrap(), "2026-11-21T00:00:00.000Z".parse::<Time>().unwrap());
    for kind in Kind::ALL {
        let (one, other) = (world.cause(kind, 0, 0), world.cause(kind, 1, 0));
        let is_grouped = matches!(kind, Kind::Follow | Kind::Like | Kind::CommentLike);
        assert_eq!(one.group(noon).is_some(), is_grouped, "{kind:?}");
        assert_eq!(one.group(noon), other.group(noon), "{kind:?}");
        assert_eq!(one.group(noon) != one.group(midnight), is_grouped, "{kind:?}");
    }
    assert_ne!(world.cause(Kind::Like, 0, 0).group(noon), world.cause(Kind::Like, 0, 1).group(noon));
}

#[test]
fn whatever_comes_after_a_reading_is_unread_however_far_that_reached() {
    let (world, now) = (World::new(), Time::now());
    let mut kept = Kept::default();
    assert_eq!(kept.inbox.reads(now), None, "there is nothing that could be read");
    kept.tell(&world.cause(Kind::Mention, 0, 0), now);
    kept.read(now.plus(Duration::from_hours(24)));
    assert_eq!(kept.inbox.unread, 0);
    kept.tell(&world.cause(Kind::Mention, 1, 0), now);
    assert_eq!(kept.inbox.unread, 1);
    // Nor does an older reading, which comes late, unread anything.
    kept.read(now);
    assert_eq!((kept.inbox.unread, kept.inbox.reads(now)), (1, None));
}

#[test]
fn an_excerpt_is_one_line_of_a_hundred_characters_and_ends_with_a_word() {
    assert_eq!(excerpt("well\n\n done"), "well done");
    assert_eq!(excerpt(&"word ".repeat(20)), "word ".repeat(20).trim_end());
    assert_eq!(excerpt(&"words ".repeat(20)), format!("{}\u{2026}", "words ".repeat(16).trim_end()));
    assert_eq!(excerpt(&"\u{11f}".repeat(101)), format!("{}\u{2026}", "\u{11f}".repeat(100)));
    let family = "\u{1f469}\u{200d}\u{1f467}";
    assert_eq!(excerpt(&family.repeat(101)), format!("{}\u{2026}", family.repeat(100)));
    assert_eq!(excerpt(&format!("a {}", "x".repeat(200))), format!("a {}\u{2026}", "x".repeat(98)));
}
