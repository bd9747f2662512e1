use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path};

use tintype_cloud::{Credentials, Log};

use super::*;
use crate::{fake, runtime_api::RuntimeApi};

/// Prints its environment, waits as long as the host lives, and fails with a word of complaint.
const PROGRAM: &str = r#"#!/bin/sh
echo "$1 $2" > "$FOLDER/arguments"
export -p > "$FOLDER/environment.part"
[ "$MODE" = wait ] && read -r line
echo working
echo "USERS_TABLE is not set" >&2
# Renamed when complete: who waits for the file may read it.
printf '' > "$FOLDER/ended"
exit 3
"#;

fn program(folder: &Path) -> Spawn {
    let program = folder.join("program");
    std::fs::write(&program, PROGRAM).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    processes(WorkerEnvironment {
        program,
        region: "eu-central-1".to_owned(),
        credentials: Credentials { access_key: "key".to_owned(), secret_key: "secret".to_owned() },
        log: Arc::new(Log::create(&folder.join("log")).unwrap()),
    })
}

fn function(folder: &Path, mode: &str) -> Function {
    let environment = [("FOLDER", folder.to_str().unwrap()), ("MODE", mode)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Function { environment: BTreeMap::from(environment), ..fake::function("posts") }
}

/// One test, because a program that is still open for writing in one thread cannot be run by another.
#[tokio::test]
async fn a_worker_is_a_process_with_lambdas_environment_alone_and_says_why_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let spawn = program(folder);
    let api = RuntimeApi::start().await.unwrap();
    let session = api.connect();

    let mut process = spawn(&function(folder, "fail"), &session).unwrap();
    assert_eq!(process.ended().await, fake::ended("exit status: 3: USERS_TABLE is not set"));
    assert_eq!(std::fs::read_to_string(folder.join("arguments")).unwrap(), "function posts\n");
    let environment = std::fs::read_to_string(folder.join("environment.part")).unwrap();
    for (name, value) in [
        ("AWS_LAMBDA_RUNTIME_API", session.address.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "posts"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("MODE", "fail"),
    ] {
        assert!(environment.contains(&format!("{name}='{value}'")), "{name} in {environment}");
    }
    for (name, value) in std::env::vars() {
        // Shells set a few for themselves.
        if !["PWD", "OLDPWD", "SHLVL", "_", "PATH"].contains(&name.as_str()) && value.len() > 8 {
            assert!(!environment.contains(&format!(" {name}=")), "{name} came from the host");
        }
    }

    std::fs::remove_file(folder.join("ended")).unwrap();
    let mut process = spawn(&function(folder, "wait"), &session).unwrap();
    assert!(process.is_running());
    process.kill().await;
    assert!(!process.is_running());
    assert!(!folder.join("ended").exists(), "killed before it came that far");
}
