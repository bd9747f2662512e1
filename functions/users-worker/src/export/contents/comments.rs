//! What the person has written under posts, their own and others', and which comments they like.

use serde_json::{Value, json};
use tintype_core::comment::Comment;
use tintype_queues::Failure;
use tintype_tables::{
    Key,
    comments::{self, Like},
};

use super::{Contents, Entry, Piece};

/// Comments in a file, each of 64 KB at most.
const COMMENTS: i32 = 100;
/// Likes in a file.
const LIKES: usize = 1000;

/// The next comments, in no order that means anything.
pub(super) async fn written(contents: &Contents<'_>, piece: usize, after: Option<String>) -> Result<Piece, Failure> {
    let after = after.as_deref().and_then(|after| after.split_once(' ')).map(|(pk, sk)| Key::new(pk, sk));
    let table = &contents.stores.comments;
    let (keys, next) = comments::written_after(table, contents.user, after.as_ref(), COMMENTS).await?;
    let mut found = comments::all_at(table, &keys).await?;
    found.sort_by_key(|comment| comment.id);
    let described: Vec<Value> = found.iter().map(describe).collect();
    let entry = Entry::piece("comments", piece, &described.into());
    Ok((vec![entry], next.map(|next| format!("{} {}", next.pk, next.sk))))
}

/// The next comments that they like.
pub(super) async fn liked(contents: &Contents<'_>, piece: usize, after: Option<String>) -> Result<Piece, Failure> {
    let page = comments::likes_after(&contents.stores.comments, contents.user, after, LIKES).await?;
    let described: Vec<Value> =
        page.items.iter().map(|like: &Like| json!({"comment_id": like.comment_id(), "liked_at": like.liked_at()})).collect();
    Ok((vec![Entry::piece("liked-comments", piece, &described.into())], page.next))
}

fn describe(comment: &Comment) -> Value {
    let Comment { id, post_id, parent_id, text, created_at, .. } = comment;
    json!({"id": id, "post_id": post_id, "parent_id": parent_id, "text": text, "created_at": created_at})
}
