//! What of a person, and of what they have posted, the caller may see, as an answer.

use tintype_core::{
    PostId, UserId,
    post::{Post, Status},
    profile::ProfileCard,
};
use tintype_tables::{
    Table, posts,
    visibility::{self, Sight},
};

use crate::Problem;

/// The card of `person`, if `viewer` (`None`: nobody in particular) may see what they have made and whom they know. Else 403
/// `private-account`, or 404 where one of the two blocks the other.
pub async fn open_to(users: &Table, viewer: Option<UserId>, person: UserId) -> Result<ProfileCard, Problem> {
    match visibility::look(users, viewer, person).await? {
        Some((card, Sight::Everything)) => Ok(card),
        Some((_, Sight::Profile)) => {
            Err(Problem::forbidden("private-account", "The account is private: only approved followers see this."))
        }
        Some((_, Sight::Nothing)) | None => Err(Problem::not_found()),
    }
}

/// The post as it stands now, and its author's card; 404 if `viewer` may not know of it.
pub async fn post_open_to(users: &Table, posts: &Table, viewer: Option<UserId>, post_id: PostId) -> Result<(Post, ProfileCard), Problem> {
    let post = posts::read(posts, post_id).await?.ok_or_else(Problem::not_found)?;
    if !is_shown(&post, viewer) {
        return Err(Problem::not_found());
    }
    match visibility::look(users, viewer, post.author_id).await? {
        Some((card, Sight::Everything)) => Ok((post, card)),
        _ => Err(Problem::not_found()),
    }
}

/// Whether it is there for `viewer`, if they may see its author's posts at all.
fn is_shown(post: &Post, viewer: Option<UserId>) -> bool {
    post.status == Status::Published || viewer == Some(post.author_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::{Time, post::Draft};

    #[test]
    fn only_its_author_sees_a_post_that_is_not_published() {
        let author_id = UserId::new();
        let draft = Draft { author_id, caption: String::new(), location: None, comments_enabled: true, photos: vec![] };
        let post = Post::new(draft, Time::now());
        for status in [Status::AwaitingUpload, Status::Processing, Status::Published, Status::Failed] {
            let post = Post { status, ..post.clone() };
            assert!(is_shown(&post, Some(author_id)), "{status:?}");
            for other in [None, Some(UserId::new())] {
                assert_eq!(is_shown(&post, other), status == Status::Published, "{status:?}");
            }
        }
    }
}
