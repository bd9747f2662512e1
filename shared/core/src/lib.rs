//! What Tintype speaks of: ids, times, names, posts, events, cursors. No cloud in it.

pub mod comment;
pub mod cursor;
pub mod event;
pub mod id;
pub mod media;
pub mod name;
pub mod notification;
pub mod patch;
pub mod post;
pub mod post_view;
pub mod profile;
pub mod text;
pub mod time;
pub mod upload;

pub use id::{CommentId, JobId, NotificationId, PostId, SessionId, UserId};
pub use time::Time;
