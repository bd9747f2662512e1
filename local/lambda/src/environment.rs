//! The environment of a worker, as the functions of an OS-only runtime (`provided`) find it on AWS.
//!
//! What AWS sets for them, by its documentation of the runtime environment variables, is set here, with
//! these exceptions:
//!
//! - `AWS_EXECUTION_ENV` and `_X_AMZN_TRACE_ID` are not defined for OS-only runtimes. (Who wants the
//!   second sets it for each event: `lambda_runtime` does.)
//! - `LD_LIBRARY_PATH` would lead a program of this machine to folders that are not there.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tintype_cloud::{Credentials, Log};
use tintype_template::deployment::Function;

use crate::runtime_api::Session;

/// What every worker is started with.
#[derive(Debug, Clone)]
pub struct WorkerEnvironment {
    /// Started as `program function BINARY`.
    pub program: PathBuf,
    /// `AWS_REGION`
    pub region: String,
    /// What workers sign their requests with.
    pub credentials: Credentials,
    /// Takes what workers print, each line under the function's name.
    pub log: Arc<Log>,
}

/// Variables that AWS sets and a function's configuration may change.
const CHANGEABLE: [(&str, &str); 5] = [
    ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
    // Nobody listens there; on AWS it is an address of the link, which would leave this machine.
    ("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000"),
    ("LANG", "en_US.UTF-8"),
    ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
    ("TZ", ":UTC"),
];

/// Roles have temporary credentials, whose requests carry a token. Here it means nothing, but what
/// forgets it would fail on AWS alone.
const SESSION_TOKEN: &str = "local-session";

/// The environment of a function: the template's variables, and those that Lambda itself sets.
pub(crate) fn variables(function: &Function, session: &Session, environment: &WorkerEnvironment) -> BTreeMap<String, String> {
    let day = jiff::Timestamp::now().strftime("%Y/%m/%d").to_string();
    // The program may be a link, as that of a running process is.
    let program = environment.program.canonicalize().unwrap_or_else(|_| environment.program.clone());
    let task_root = program.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let reserved = [
        ("AWS_ACCESS_KEY_ID", environment.credentials.access_key.clone()),
        ("AWS_DEFAULT_REGION", environment.region.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("{day}/[$LATEST]{}", session.id)),
        ("AWS_LAMBDA_RUNTIME_API", session.address.clone()),
        ("AWS_REGION", environment.region.clone()),
        ("AWS_SECRET_ACCESS_KEY", environment.credentials.secret_key.clone()),
        ("AWS_SESSION_TOKEN", SESSION_TOKEN.to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LAMBDA_TASK_ROOT", task_root),
        ("_HANDLER", "bootstrap".to_owned()),
    ];
    let mut variables: BTreeMap<_, _> = CHANGEABLE.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    variables.extend(function.environment.clone());
    variables.extend(reserved.map(|(name, value)| (name.to_owned(), value)));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fake, runtime_api::RuntimeApi};

    #[tokio::test]
    async fn a_worker_finds_what_it_would_find_on_aws() {
        let api = RuntimeApi::start().await.unwrap();
        let session = api.connect();
        let folder = tempfile::tempdir().unwrap();
        let environment = WorkerEnvironment {
            program: "/opt/tintype/bin/tintype".into(),
            region: "eu-central-1".to_owned(),
            credentials: Credentials { access_key: "key".to_owned(), secret_key: "secret".to_owned() },
            log: Arc::new(Log::create(&folder.path().join("log")).unwrap()),
        };
        let configured =
            [("USERS_TABLE", "users"), ("LANG", "C.UTF-8"), ("AWS_REGION", "us-west-1"), ("AWS_LAMBDA_FUNCTION_NAME", "other")];
        let function =
            Function { environment: configured.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), ..fake::function("posts") };
        let mut found = variables(&function, &session, &environment);

        let stream = found.remove("AWS_LAMBDA_LOG_STREAM_NAME").unwrap();
        let (date, instance) = stream.split_once("/[$LATEST]").unwrap();
        assert_eq!(date.split('/').map(str::len).collect::<Vec<_>>(), [4, 2, 2], "{stream}");
        assert_eq!(instance, session.id);
        let expected = [
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            // Reserved: the configuration does not change it.
            ("AWS_LAMBDA_FUNCTION_NAME", "posts"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/posts"),
            ("AWS_LAMBDA_RUNTIME_API", &session.address),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", SESSION_TOKEN),
            ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
            ("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000"),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("LAMBDA_TASK_ROOT", "/opt/tintype/bin"),
            // Not reserved: the configuration's value counts.
            ("LANG", "C.UTF-8"),
            ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
            ("TZ", ":UTC"),
            ("USERS_TABLE", "users"),
            ("_HANDLER", "bootstrap"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
