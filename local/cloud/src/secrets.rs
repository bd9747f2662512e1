//! Secrets Manager: secrets whose first value is generated, and their versions, as far as a rotation needs them.

mod versions;

use std::collections::BTreeMap;

use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tintype_template::deployment;
use uuid::Uuid;

use crate::state::{Control, Error};
use versions::{CURRENT, Put, Version, Versions};

/// What `X-Amz-Target` begins with.
pub(crate) const TARGET_PREFIX: &str = "secretsmanager.";

/// The secrets that the template declares.
#[derive(Clone)]
pub struct Secrets {
    secrets: Vec<Secret>,
    versions: Versions,
}

#[derive(Clone)]
struct Secret {
    name: String,
    arn: String,
}

/// Why a request is refused: AWS's name for it, and a sentence.
struct Refusal(&'static str, String);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self("InternalServiceError", error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfSecret {
    secret_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: String,
    version_stages: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateSecretVersionStage {
    secret_id: String,
    version_stage: String,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetRandomPassword {
    #[serde(default = "usual_length")]
    password_length: usize,
    /// The only kind that is made here.
    exclude_punctuation: bool,
}

fn usual_length() -> usize {
    32
}

impl Secrets {
    /// Generates the values that are missing; those that exist stay.
    pub fn open(control: Control, secrets: &[deployment::Secret]) -> Result<Self, Error> {
        let versions = Versions::open(control)?;
        for secret in secrets {
            versions.begin(&secret.name, &generate(secret.length)?)?;
        }
        let secrets = secrets.iter().map(|secret| Secret { name: secret.name.clone(), arn: secret.arn.clone() }).collect();
        Ok(Self { secrets, versions })
    }

    /// The current value of the secret with this name or ARN.
    pub fn value(&self, id: &str) -> Option<String> {
        let all = self.versions.of(&self.find(id).ok()?.name).ok()?;
        all.into_iter().find(|version| version.has(CURRENT)).map(|version| version.value)
    }

    /// Answers a request for `action`.
    pub(crate) fn answer(&self, action: &str, body: &[u8]) -> Response<String> {
        let answer = match action {
            "GetSecretValue" => parse(body).and_then(|request| self.get_secret_value(&request)),
            "PutSecretValue" => parse(body).and_then(|request| self.put_secret_value(request)),
            "UpdateSecretVersionStage" => parse(body).and_then(|request| self.update_secret_version_stage(&request)),
            "DescribeSecret" => parse(body).and_then(|request| self.describe_secret(&request)),
            "ListSecretVersionIds" => parse(body).and_then(|request| self.list_secret_version_ids(&request)),
            "GetRandomPassword" => parse(body).and_then(|request| get_random_password(&request)),
            _ => Err(Refusal("UnknownOperationException", format!("{action} is not emulated on this machine."))),
        };
        match answer {
            Ok(answer) => respond(StatusCode::OK, &answer),
            Err(Refusal(error, message)) => respond(StatusCode::BAD_REQUEST, &json!({"__type": error, "message": message})),
        }
    }

    fn get_secret_value(&self, request: &GetSecretValue) -> Result<Value, Refusal> {
        let secret = self.find(&request.secret_id)?;
        let stage = request.version_stage.as_deref();
        let is_wanted = |version: &Version| match (&request.version_id, stage) {
            (Some(id), stage) => version.id == *id && stage.is_none_or(|stage| version.has(stage)),
            (None, stage) => version.has(stage.unwrap_or(CURRENT)),
        };
        let missing = || {
            let which = request.version_id.as_deref().or(stage).unwrap_or(CURRENT);
            Refusal("ResourceNotFoundException", format!("Secrets Manager can't find the specified secret value for {which}"))
        };
        let version = self.versions.of(&secret.name)?.into_iter().find(is_wanted).ok_or_else(missing)?;
        Ok(json!({
            "ARN": secret.arn,
            "Name": secret.name,
            "SecretString": version.value,
            "VersionId": version.id,
            "VersionStages": version.stages,
            "CreatedDate": version.created,
        }))
    }

    fn put_secret_value(&self, request: PutSecretValue) -> Result<Value, Refusal> {
        let secret = self.find(&request.secret_id)?;
        let id = request.client_request_token.unwrap_or_else(|| Uuid::new_v4().to_string());
        let stages = request.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        match self.versions.put(&secret.name, &id, &request.secret_string, &stages)? {
            Put::Done => Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": id, "VersionStages": stages})),
            Put::AnotherValue => {
                Err(Refusal("ResourceExistsException", "There is a version with this ClientRequestToken and another value.".to_owned()))
            }
        }
    }

    fn update_secret_version_stage(&self, request: &UpdateSecretVersionStage) -> Result<Value, Refusal> {
        let secret = self.find(&request.secret_id)?;
        let (from, to) = (request.remove_from_version_id.as_deref(), request.move_to_version_id.as_deref());
        if self.versions.move_stage(&secret.name, &request.version_stage, from, to)? {
            Ok(json!({"ARN": secret.arn, "Name": secret.name}))
        } else {
            let message = "RemoveFromVersionId must be the version that has the stage, and MoveToVersionId one that exists.";
            Err(Refusal("InvalidParameterException", message.to_owned()))
        }
    }

    fn describe_secret(&self, request: &OfSecret) -> Result<Value, Refusal> {
        let secret = self.find(&request.secret_id)?;
        let versions = self.versions.of(&secret.name)?;
        let created = versions.iter().map(|version| version.created).fold(f64::INFINITY, f64::min);
        let stages: BTreeMap<&str, &[String]> = versions.iter().map(|version| (version.id.as_str(), &version.stages[..])).collect();
        Ok(json!({"ARN": secret.arn, "Name": secret.name, "CreatedDate": created, "VersionIdsToStages": stages}))
    }

    fn list_secret_version_ids(&self, request: &OfSecret) -> Result<Value, Refusal> {
        let secret = self.find(&request.secret_id)?;
        let entry = |version: &Version| json!({"VersionId": version.id, "VersionStages": version.stages, "CreatedDate": version.created});
        let versions: Vec<Value> = self.versions.of(&secret.name)?.iter().map(entry).collect();
        Ok(json!({"ARN": secret.arn, "Name": secret.name, "Versions": versions}))
    }

    fn find(&self, id: &str) -> Result<&Secret, Refusal> {
        let found = self.secrets.iter().find(|secret| secret.name == id || secret.arn == id);
        found.ok_or_else(|| Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".to_owned()))
    }
}

fn get_random_password(request: &GetRandomPassword) -> Result<Value, Refusal> {
    if !request.exclude_punctuation || !(1..=4096).contains(&request.password_length) {
        let message = "On this machine passwords have 1 to 4096 letters and digits: ExcludePunctuation must be true.";
        return Err(Refusal("InvalidParameterException", message.to_owned()));
    }
    Ok(json!({"RandomPassword": generate(request.password_length)?}))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal("SerializationException", error.to_string()))
}

/// Letters and digits, each as likely as any other, from the operating system's randomness.
fn generate(length: usize) -> Result<String, Error> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // The largest multiple of the alphabet's length: bytes from here on would favour its beginning.
    const FAIR: u8 = 248;
    let mut value = String::with_capacity(length);
    let mut random = [0; 64];
    while value.len() < length {
        getrandom::fill(&mut random).map_err(|error| Error::Unreadable(format!("the system gives no random bytes: {error}")))?;
        let fair = random.iter().filter(|byte| **byte < FAIR).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        value.extend(fair.take(length - value.len()));
    }
    Ok(value)
}

fn respond(status: StatusCode, answer: &Value) -> Response<String> {
    let mut response = Response::new(answer.to_string());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_secret() -> Vec<deployment::Secret> {
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:tintype-TokenSecret-abc123".to_owned();
        vec![deployment::Secret { name: "tintype-TokenSecret".to_owned(), arn, length: 64 }]
    }

    #[test]
    fn a_secret_keeps_its_value_when_the_state_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Secrets::open(Control::open(&folder.path().join("control.db")).unwrap(), &token_secret()).unwrap();
        let before = open().value("tintype-TokenSecret").unwrap();
        assert_eq!(before.len(), 64);
        assert_eq!(open().value("tintype-TokenSecret"), Some(before));
    }

    #[test]
    fn two_states_have_different_secrets() {
        let open = || {
            let folder = tempfile::tempdir().unwrap();
            Secrets::open(Control::open(&folder.path().join("control.db")).unwrap(), &token_secret()).unwrap()
        };
        assert_ne!(open().value("tintype-TokenSecret"), open().value("tintype-TokenSecret"));
    }
}
