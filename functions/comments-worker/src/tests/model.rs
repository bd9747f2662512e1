//! Any order of writing, replying, deleting, liking and working, beside the simplest thing that could be right.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tintype_core::{CommentId, PostId, UserId, comment::Comment};
use tintype_tables::comments::{Creation, Found, Liking, create, find, number_now};

use super::{Time, comment, people, world};

const PEOPLE: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    /// To the n-th comment, whatever it is by then.
    Reply(usize, usize),
    Like(usize, usize),
    Unlike(usize, usize),
    Delete(usize),
    /// The worker is told of the n-th comment, if it is deleted.
    Work(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (person, which) = (0..PEOPLE, 0usize..8);
    prop_oneof![
        3 => person.clone().prop_map(Step::Write),
        4 => (person.clone(), which.clone()).prop_map(|(person, which)| Step::Reply(person, which)),
        4 => (person.clone(), which.clone()).prop_map(|(person, which)| Step::Like(person, which)),
        2 => (person, which.clone()).prop_map(|(person, which)| Step::Unlike(person, which)),
        2 => which.clone().prop_map(Step::Delete),
        2 => which.prop_map(Step::Work),
    ]
}

/// A comment as it should be.
struct Expected {
    comment: Comment,
    is_deleted: bool,
    likes: BTreeSet<UserId>,
}

#[derive(Default)]
struct Model(Vec<Expected>);

impl Model {
    fn is_there(&self, index: usize) -> bool {
        let Expected { comment, is_deleted, .. } = &self.0[index];
        !is_deleted && comment.parent_id.is_none_or(|parent| self.0.iter().any(|it| it.comment.id == parent && !it.is_deleted))
    }

    fn replies(&self, parent: CommentId) -> usize {
        (0..self.0.len()).filter(|index| self.is_there(*index) && self.0[*index].comment.parent_id == Some(parent)).count()
    }

    fn add(&mut self, comment: Comment) {
        self.0.push(Expected { comment, is_deleted: false, likes: BTreeSet::new() });
    }
}

async fn play(steps: Vec<Step>) {
    let tables = world().await;
    let (post, people, mut model) = (PostId::new(), people::<PEOPLE>(), Model::default());
    for step in steps {
        let count = model.0.len();
        // Of nothing there is no n-th.
        let nth = |which: usize| (count > 0).then(|| which % count);
        match step {
            Step::Write(person) => model.add(tables.write(post, None, people[person]).await),
            Step::Reply(person, which) => {
                let Some(index) = nth(which).filter(|index| model.0[*index].comment.parent_id.is_none()) else { continue };
                let reply = comment(post, Some(&model.0[index].comment), people[person]);
                let created = create(&tables.comments, &reply, Time::now()).await.unwrap();
                assert_eq!(created == Creation::Created, model.is_there(index));
                if created == Creation::Created {
                    model.add(reply);
                }
            }
            Step::Like(person, which) => {
                // As the handler does: whoever finds no comment likes none.
                let Some(index) = nth(which).filter(|index| model.is_there(*index)) else { continue };
                let begun = tables.like(&model.0[index].comment, people[person]).await;
                assert_eq!(begun == Liking::Begun, model.0[index].likes.insert(people[person]));
            }
            Step::Unlike(person, which) => {
                let Some(index) = nth(which).filter(|index| model.is_there(*index)) else { continue };
                let ended = tables.unlike(&model.0[index].comment, people[person]).await;
                assert_eq!(ended, model.0[index].likes.remove(&people[person]));
            }
            Step::Delete(which) => {
                let Some(index) = nth(which) else { continue };
                let was_there = model.is_there(index);
                assert_eq!(tables.delete(&model.0[index].comment).await, was_there);
                model.0[index].is_deleted |= was_there;
            }
            Step::Work(which) => {
                if let Some(index) = nth(which).filter(|index| model.0[*index].is_deleted) {
                    tables.work_on(&model.0[index].comment).await;
                }
            }
        }
    }
    for index in 0..model.0.len() {
        let Expected { comment, likes, .. } = &model.0[index];
        let found = find(&tables.comments, comment.id).await.unwrap();
        assert_eq!(found.is_some(), model.is_there(index));
        if let Some(Found { comment: found, .. }) = found {
            let expected = Comment { likes: likes.len() as u64, reply_count: model.replies(comment.id) as u64, ..comment.clone() };
            assert_eq!(found, expected);
        }
    }
    let there = (0..model.0.len()).filter(|index| model.is_there(*index)).count();
    assert_eq!(number_now(&tables.comments, post).await.unwrap(), i64::try_from(there).unwrap());
    let census = tables.census().await;
    census.is_exact();
    // Once all has been worked on, nothing is there but what is there.
    for Expected { comment, is_deleted, .. } in &model.0 {
        if *is_deleted {
            tables.work_on(comment).await;
        }
    }
    let census = tables.census().await;
    census.is_exact();
    assert_eq!((census.comments().len(), census.tombstones()), (there, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_writing_replying_deleting_and_liking_leaves_counts_that_are_what_is_there(steps in prop::collection::vec(step(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
