//! Uploads: what the answer to a ticket says, and how the upload of a person's picture stands.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// The largest file that may be uploaded, in bytes.
pub const MOST_BYTES: u64 = 20_000_000;

/// A request to the object store, whose body is the photo.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upload {
    /// Always `PUT`.
    pub method: &'static str,
    /// Absolute; carries its own permission, so treat it as a secret.
    pub url: String,
    /// To be sent exactly so. Browsers set `content-length` themselves, from the body.
    #[schema(example = json!({"content-length": "1234567", "content-type": "image/jpeg"}))]
    pub headers: BTreeMap<String, String>,
    /// When the URL stops working.
    pub expires_at: Time,
}

/// The newest ticket for a person's picture, as their profile holds it until the picture is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvatarUpload {
    /// The picture's, once it is made.
    pub media_id: String,
    /// Of the ticket.
    pub expires_at: Time,
    /// Why no picture could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<AvatarFailure>,
}

/// Why an upload did not become a person's picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AvatarFailure {
    /// Stable and kebab-case, for programs: the same as a post's `failure.code`.
    #[schema(example = "truncated-or-damaged")]
    pub code: String,
    /// A sentence for the person.
    pub detail: String,
}

/// How the upload of a person's picture stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AvatarStatus {
    /// The ticket is out, and the picture not there yet.
    AwaitingUpload,
    /// No picture will come of it.
    Failed,
}

/// The upload of a person's picture, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AvatarUploadView {
    /// How it stands.
    pub status: AvatarStatus,
    /// Why it failed; only with status `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<AvatarFailure>,
}

impl AvatarUpload {
    /// How long after the ticket's end a picture may still be worked on, retries included.
    const PROCESSING_TIME: Duration = Duration::from_mins(5);

    /// As its owner sees it. An upload that never came is nobody's work to find: it shows by the clock.
    pub fn view(&self, now: Time) -> AvatarUploadView {
        let is_late = now > self.expires_at.plus(Self::PROCESSING_TIME);
        let missing = || AvatarFailure {
            code: "upload-missing".to_owned(),
            detail: "The picture was never uploaded, or could not be processed. Please try again.".to_owned(),
        };
        let failure = self.failure.clone().or_else(|| is_late.then(missing));
        let status = if failure.is_some() { AvatarStatus::Failed } else { AvatarStatus::AwaitingUpload };
        AvatarUploadView { status, failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_awaited_until_its_ticket_is_over_and_no_work_on_it_can_be_left() {
        let expires_at = Time::from_millis(1_790_000_000_000).unwrap();
        let upload = AvatarUpload { media_id: "00".repeat(16), expires_at, failure: None };
        let end = expires_at.plus(Duration::from_mins(5));
        assert_eq!(upload.view(end), AvatarUploadView { status: AvatarStatus::AwaitingUpload, failure: None });
        let late = upload.view(end.plus(Duration::from_millis(1)));
        assert_eq!(late.status, AvatarStatus::Failed);
        assert_eq!(late.failure.unwrap().code, "upload-missing");
    }

    #[test]
    fn what_failed_says_why_at_once() {
        let failure = AvatarFailure { code: "not-an-image".to_owned(), detail: "The file is not an image.".to_owned() };
        let upload = AvatarUpload { media_id: "00".repeat(16), expires_at: Time::now(), failure: Some(failure.clone()) };
        assert_eq!(upload.view(Time::now()), AvatarUploadView { status: AvatarStatus::Failed, failure: Some(failure) });
    }
}
