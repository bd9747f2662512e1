//! Starts that can't succeed say why in one line, and exit with status 1.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Output, Stdio},
};

use crate::{
    harness::host,
    process::{Host, folder, program},
};

/// Runs the program, which must end by itself.
fn run(arguments: &[&str], state: &Path) -> Output {
    program().args(arguments).arg("--state-dir").arg(state).arg("--until-stdin-closes").stdin(Stdio::null()).output().expect("it starts")
}

/// Demands exit status 1, silence, and one line on standard error that holds all of `parts`.
#[track_caller]
fn fails_with(output: &Output, parts: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part} is in: {error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

const FREE_PORTS: [&str; 4] = ["--port", "0", "--aws-port", "0"];

fn with_template(folder: &Path, change: impl FnOnce(&str) -> String) -> Output {
    let template = fs::read_to_string(host::root().join("template.yaml")).expect("template.yaml");
    let changed = change(&template);
    assert_ne!(template, changed, "there was something to change");
    let path = folder.join("changed.yaml");
    fs::write(&path, changed).expect("a file");
    let path = path.to_str().expect("a path").to_owned();
    run(&[&FREE_PORTS[..], &["--template", &path]].concat(), &folder.join("state"))
}

#[test]
fn a_template_with_an_unknown_intrinsic() {
    let folder = folder();
    let output =
        with_template(folder.path(), |template| template.replacen("USERS_TABLE: !Ref UsersTable", "USERS_TABLE: !Cidr [UsersTable]", 1));
    fails_with(&output, &["changed.yaml", "Cidr", "USERS_TABLE"]);
}

#[test]
fn a_template_with_an_unknown_resource_property_or_reference() {
    let folder = folder();
    let output = with_template(folder.path(), |template| template.replacen("AWS::SNS::Topic", "AWS::SNS::Tropic", 1));
    fails_with(&output, &["AWS::SNS::Tropic"]);
    let output = with_template(folder.path(), |template| template.replacen("MaximumConcurrency", "MaximumConcurence", 1));
    fails_with(&output, &["MaximumConcurence"]);
    let output =
        with_template(folder.path(), |template| template.replacen("USERS_TABLE: !Ref UsersTable", "USERS_TABLE: !Ref UserTable", 1));
    fails_with(&output, &["UserTable"]);
}

#[test]
fn a_template_that_is_no_yaml_or_not_there() {
    let folder = folder();
    let output = with_template(folder.path(), |template| template.replacen("Resources:", "Resources: [", 1));
    fails_with(&output, &["changed.yaml"]);
    let output = run(&[&FREE_PORTS[..], &["--template", "nowhere.yaml"]].concat(), &folder.path().join("state"));
    fails_with(&output, &["nowhere.yaml"]);
}

#[test]
fn a_port_in_use() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let state = folder.path().join("state");
    fails_with(&run(&["--port", &port, "--aws-port", "0"], &state), &[&port, "--port"]);
    fails_with(&run(&["--port", "0", "--aws-port", &port], &state), &[&port, "--aws-port"]);
}

#[test]
fn a_state_folder_that_cannot_be_written() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("a file");
    fails_with(&run(&FREE_PORTS, &file.join("state")), &[file.to_str().expect("a path")]);
    fails_with(&run(&FREE_PORTS, &file), &[file.to_str().expect("a path")]);
    // Nobody may write there, not even root.
    fails_with(&run(&FREE_PORTS, Path::new("/proc/tintype")), &["/proc/tintype"]);
}

#[test]
fn a_state_folder_that_holds_something_else() {
    let folder = folder();
    let diary = folder.path().join("diary.txt");
    fs::write(&diary, "dear diary").expect("a file");
    fails_with(&run(&[&FREE_PORTS[..], &["--reset"]].concat(), folder.path()), &[folder.path().to_str().expect("a path")]);
    assert!(diary.exists());
}

#[test]
fn a_state_folder_that_another_host_uses() {
    let folder = folder();
    let _host = Host::start(folder.path());
    let state = folder.path().join("state");
    fails_with(&run(&FREE_PORTS, &state), &[state.to_str().expect("a path")]);
}

#[test]
fn faults_that_make_no_sense() {
    let folder = folder();
    let state = folder.path().join("state");
    for (spec, reason) in [
        ("nobody:error=1", "there is no `nobody`; there are dynamodb, s3, sqs, streams and the functions"),
        ("s3:conflict=1", "s3 has no fault `conflict`; it has error,"),
        ("feed:error=2", "the value is a probability from 0 to 1"),
        ("feed:error=1;seed=x", "a seed is a whole number"),
    ] {
        fails_with(&run(&[&FREE_PORTS[..], &["--chaos", spec]].concat(), &state), &[reason]);
        assert!(!state.exists(), "nothing has started");
    }
}
