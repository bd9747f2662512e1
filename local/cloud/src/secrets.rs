//! Secrets Manager: `GetSecretValue` of secrets whose value is generated once.

use std::time::SystemTime;

use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};
use tintype_template::deployment;
use uuid::Uuid;

use crate::state::{Control, Error};

/// What `X-Amz-Target` begins with.
pub(crate) const TARGET_PREFIX: &str = "secretsmanager.";

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS secrets (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        version TEXT NOT NULL,
        created_s REAL NOT NULL
    ) WITHOUT ROWID;";

/// The secrets that the template declares.
#[derive(Clone)]
pub struct Secrets {
    secrets: Vec<Secret>,
}

#[derive(Clone)]
struct Secret {
    name: String,
    arn: String,
    value: String,
    version: String,
    created: f64,
}

impl Secrets {
    /// Generates the values that are missing; those that exist stay.
    #[expect(clippy::needless_pass_by_value, reason = "a handle, as the other parts take it")]
    pub fn open(control: Control, secrets: &[deployment::Secret]) -> Result<Self, Error> {
        control.with(|connection| connection.execute_batch(SCHEMA))?;
        let secrets = secrets.iter().map(|secret| open_one(&control, secret)).collect::<Result<_, _>>()?;
        Ok(Self { secrets })
    }

    /// The value of the secret with this name or ARN.
    pub fn value(&self, id: &str) -> Option<&str> {
        self.find(id).map(|secret| secret.value.as_str())
    }

    /// Answers a request for `action`.
    pub(crate) fn answer(&self, action: &str, body: &[u8]) -> Response<String> {
        match action {
            "GetSecretValue" => self.get_secret_value(body),
            _ => refuse("UnknownOperationException", &format!("{action} is not emulated on this machine.")),
        }
    }

    fn get_secret_value(&self, body: &[u8]) -> Response<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct GetSecretValue {
            secret_id: String,
        }
        let Ok(request) = serde_json::from_slice::<GetSecretValue>(body) else {
            return refuse("SerializationException", "The request must be a JSON object with SecretId.");
        };
        match self.find(&request.secret_id) {
            Some(secret) => respond(
                StatusCode::OK,
                &json!({
                    "ARN": secret.arn,
                    "Name": secret.name,
                    "SecretString": secret.value,
                    "VersionId": secret.version,
                    "VersionStages": ["AWSCURRENT"],
                    "CreatedDate": secret.created,
                }),
            ),
            None => refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        }
    }

    fn find(&self, id: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == id || secret.arn == id)
    }
}

fn open_one(control: &Control, secret: &deployment::Secret) -> Result<Secret, Error> {
    let generated = generate(secret.length)?;
    let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    control.with(|connection| {
        connection.execute(
            "INSERT INTO secrets (name, value, version, created_s) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
            params![secret.name, generated, Uuid::new_v4().to_string(), created],
        )?;
        connection.query_row("SELECT value, version, created_s FROM secrets WHERE name = ?1", [&secret.name], |row| {
            Ok(Secret {
                name: secret.name.clone(),
                arn: secret.arn.clone(),
                value: row.get(0)?,
                version: row.get(1)?,
                created: row.get(2)?,
            })
        })
    })
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

fn refuse(error: &str, message: &str) -> Response<String> {
    respond(StatusCode::BAD_REQUEST, &json!({"__type": error, "message": message}))
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
        let before = open().value("tintype-TokenSecret").unwrap().to_owned();
        assert_eq!(before.len(), 64);
        assert_eq!(open().value("tintype-TokenSecret"), Some(&*before));
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
