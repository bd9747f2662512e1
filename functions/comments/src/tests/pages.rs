//! Pages of comments some of which are hidden: what their cursors tell.

use std::collections::HashSet;

use tintype_core::{CommentId, PostId, Time, UserId, comment::Comment};
use tintype_tables::{
    Table,
    comments::{self, Thread, create},
};

use super::capacity::{comment, table};

/// A thread of so many comments, and those of its authors who are hidden: all but those of `shown`.
async fn thread(table: &Table, length: usize, shown: &[usize]) -> (PostId, Vec<Comment>, HashSet<UserId>) {
    let post = PostId::new();
    let comments: Vec<Comment> = (0..length).map(|_| comment(post, None)).collect();
    for comment in &comments {
        create(table, comment, Time::now()).await.unwrap();
    }
    let is_shown = |number: usize| shown.contains(&number);
    let hidden = comments.iter().enumerate().filter(|(number, _)| !is_shown(*number)).map(|(_, comment)| comment.author_id).collect();
    (post, comments, hidden)
}

/// All pages of a thread: the ids on each, and the id that its cursor names.
async fn pages(table: &Table, post: PostId, limit: usize, hidden: &HashSet<UserId>) -> Vec<(Vec<CommentId>, Option<CommentId>)> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = comments::page(table, Thread::Of(post), after, limit, |author| hidden.contains(&author)).await.unwrap();
        let named = page.next.as_ref().map(|key| key.strip_prefix(comments::COMMENTS).unwrap().parse().unwrap());
        pages.push((page.items.iter().map(|comment| comment.id).collect(), named));
        assert!(pages.len() < 50, "it gets on");
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn no_cursor_names_a_comment_that_is_hidden_and_none_that_is_shown_is_passed_over() {
    let table = table().await;
    // A page that fills exactly where hidden ones follow; and one for which more are hidden than are looked at.
    for (length, shown) in [(12, vec![0, 1, 5, 11]), (900, vec![0, 450, 899]), (900, vec![899])] {
        let (post, all, hidden) = thread(&table, length, &shown).await;
        let expected: Vec<CommentId> = shown.iter().map(|number| all[*number].id).collect();
        for limit in [1, 2, 3] {
            let pages = pages(&table, post, limit, &hidden).await;
            let found: Vec<CommentId> = pages.iter().flat_map(|(ids, _)| ids.clone()).collect();
            assert_eq!(found, expected, "{length} by {limit}");
            let of_hidden: HashSet<CommentId> = all.iter().filter(|comment| hidden.contains(&comment.author_id)).map(|it| it.id).collect();
            let named: Vec<CommentId> = pages.iter().filter_map(|(_, named)| *named).collect();
            assert!(named.iter().all(|id| !of_hidden.contains(id)), "{length} by {limit}");
        }
    }
}
