//! Whether somebody is told something, by how things stand now. All of it is read consistently.

use tintype_core::{
    CommentId, PostId, UserId,
    notification::{Kind, Subject},
    post::{Post, Status},
};
use tintype_tables::{
    Error, comments,
    jobs::{self, Export},
    posts, users,
    visibility::{self, Sight},
};
use tokio::try_join;

use crate::{Stores, notices::Notice};

/// What comes of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are told.
    Tell,
    /// They are not told, and what they were told before stays: who did it has taken it back, or they don't want to know such things (any
    /// more).
    Silence,
    /// It must not be there: what it is about is gone or has ended, or they may not see it, or not hear of who did it.
    Gone,
}

/// What a notice is about, and how that stands.
enum Standing {
    /// It stands. On or under somebody's post, if it is.
    Stands(Option<UserId>),
    /// Who did it has taken it back.
    Undone,
    /// It is not there any more.
    Gone,
}

/// What comes of a notice, now.
pub(crate) async fn of(stores: &Stores, notice: &Notice) -> Result<Verdict, Error> {
    let (standing, wanted) = try_join!(standing(stores, notice), users::wants(&stores.users, notice.recipient, notice.cause.kind))?;
    let post_author = match standing {
        Standing::Stands(post_author) => post_author,
        Standing::Undone => return Ok(Verdict::Silence),
        Standing::Gone => return Ok(Verdict::Gone),
    };
    // Nobody is told anything who is not there any more, or of somebody who is not.
    let Some(wanted) = wanted else { return Ok(Verdict::Gone) };
    if let Some(actor) = notice.cause.actor_id {
        let (card, is_silent) =
            try_join!(users::card_now(&stores.users, actor), visibility::is_silent(&stores.users, notice.recipient, actor))?;
        if card.is_none() || is_silent {
            return Ok(Verdict::Gone);
        }
    }
    if let Some(author) = post_author.filter(|author| *author != notice.recipient) {
        match visibility::look(&stores.users, Some(notice.recipient), author).await? {
            Some((_, Sight::Everything)) => {}
            _ => return Ok(Verdict::Gone),
        }
    }
    Ok(if wanted { Verdict::Tell } else { Verdict::Silence })
}

async fn standing(stores: &Stores, notice: &Notice) -> Result<Standing, Error> {
    let recipient = notice.recipient;
    let Some(actor) = notice.cause.actor_id else { return happened(stores, recipient, &notice.cause.subject).await };
    let stands_or = |stands: bool, otherwise: Standing| if stands { Standing::Stands(None) } else { otherwise };
    Ok(match (notice.cause.kind, &notice.cause.subject) {
        (Kind::FollowRequest, _) => stands_or(users::is_requested(&stores.users, actor, recipient).await?, Standing::Gone),
        // A follow of later is another, which was approved anew.
        (Kind::FollowAccepted, _) => stands_or(users::followed_since(&stores.users, recipient, actor).await?.is_some(), Standing::Gone),
        (_, Subject::Person | Subject::Export(_)) => {
            stands_or(users::followed_since(&stores.users, actor, recipient).await?.is_some(), Standing::Undone)
        }
        (kind, Subject::Post(post_id)) => on_post(stores, kind, *post_id, actor, recipient).await?,
        (kind, Subject::Comment { comment_id, post_id, .. }) => on_comment(stores, kind, *post_id, *comment_id, actor).await?,
    })
}

/// What nobody did.
async fn happened(stores: &Stores, recipient: UserId, subject: &Subject) -> Result<Standing, Error> {
    let stands = match subject {
        Subject::Post(post_id) => posts::read(&stores.posts, *post_id).await?.is_some_and(|post| post.status == Status::Failed),
        Subject::Export(job_id) => {
            let export: Option<Export> = stores.users.get(&users::export(recipient, *job_id), true).await?;
            export.is_some_and(|export| export.course.status == jobs::Status::Done)
        }
        Subject::Person | Subject::Comment { .. } => false,
    };
    Ok(if stands { Standing::Stands(None) } else { Standing::Gone })
}

async fn on_post(stores: &Stores, kind: Kind, post_id: PostId, actor: UserId, recipient: UserId) -> Result<Standing, Error> {
    let Some(post) = published(stores, post_id).await? else { return Ok(Standing::Gone) };
    let stands = if kind == Kind::Mention {
        let card = users::card_now(&stores.users, recipient).await?;
        card.is_some_and(|card| post.mentions.contains(&card.username))
    } else {
        posts::is_liked(&stores.posts, post_id, actor).await?
    };
    Ok(if stands { Standing::Stands(Some(post.author_id)) } else { Standing::Undone })
}

async fn on_comment(stores: &Stores, kind: Kind, post_id: PostId, comment_id: CommentId, actor: UserId) -> Result<Standing, Error> {
    let (post, comment) = try_join!(published(stores, post_id), comments::read(&stores.comments, comment_id))?;
    let (Some(post), Some(_)) = (post, comment) else { return Ok(Standing::Gone) };
    let stands = kind != Kind::CommentLike || comments::is_liked(&stores.comments, comment_id, actor).await?;
    Ok(if stands { Standing::Stands(Some(post.author_id)) } else { Standing::Undone })
}

async fn published(stores: &Stores, post_id: PostId) -> Result<Option<Post>, Error> {
    Ok(posts::read(&stores.posts, post_id).await?.filter(|post| post.status == Status::Published))
}
