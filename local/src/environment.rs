//! `tintype environment`: what functions need that run outside of the host, and against its AWS endpoints: under `cargo lambda watch`
//! or `sam local invoke`, which read the template their own way or not at all.

use std::{collections::BTreeMap, net::SocketAddrV4, path::Path};

use serde_json::json;
use tintype_cloud::REGION;
use tintype_template::deployment::Deployment;

use crate::host;

/// Why there is no environment to print.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template cannot be read.
    #[error(transparent)]
    Template(#[from] host::Error),
    /// Two functions are told different things by one name, and there is one environment for all.
    #[error("the functions do not agree on {name}: {values}")]
    Disagreement {
        /// The variable.
        name: String,
        /// What they are told.
        values: String,
    },
}

/// Names and values; every function's in one.
type Variables = BTreeMap<String, String>;

/// Lines of `NAME=value`, with the credentials and the region: for `cargo lambda watch --env-file`.
pub(crate) fn lines(template: &Path, aws: SocketAddrV4) -> Result<String, Error> {
    let mut variables = variables(&host::read_template(template, aws)?)?;
    variables.extend(
        [("AWS_ACCESS_KEY_ID", host::KEY), ("AWS_SECRET_ACCESS_KEY", host::KEY), ("AWS_REGION", REGION)]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let lines: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    Ok(lines.concat())
}

/// For `sam local invoke --env-vars`, which makes names of its own of the template's `!Ref`. It takes credentials and region from
/// where the AWS CLI has them, and these variables only where the template declares them.
pub(crate) fn sam(template: &Path, aws: SocketAddrV4) -> Result<String, Error> {
    let variables = variables(&host::read_template(template, aws)?)?;
    Ok(format!("{:#}\n", json!({ "Parameters": variables })))
}

/// The variables of all functions.
fn variables(deployment: &Deployment) -> Result<Variables, Error> {
    let mut all = Variables::new();
    for (name, value) in deployment.functions.iter().flat_map(|function| &function.environment) {
        match all.insert(name.clone(), value.clone()) {
            Some(other) if other != *value => {
                return Err(Error::Disagreement { name: name.clone(), values: format!("{other}, {value}") });
            }
            _ => {}
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"))
    }

    fn aws() -> SocketAddrV4 {
        SocketAddrV4::new([192, 0, 2, 1].into(), 5000)
    }

    #[test]
    fn a_function_finds_all_that_the_template_tells_it_and_who_it_is() {
        let lines = lines(template(), aws()).unwrap();
        let given: BTreeMap<&str, &str> = lines.lines().map(|line| line.split_once('=').unwrap()).collect();
        for function in host::read_template(template(), aws()).unwrap().functions {
            for (name, value) in &function.environment {
                assert_eq!(given.get(name.as_str()), Some(&value.as_str()), "{name} of {}", function.name);
            }
        }
        assert_eq!(given["AWS_ENDPOINT_URL"], "http://192.0.2.1:5000");
        assert_eq!(given["FEED_FANOUT_QUEUE_URL"], "http://192.0.2.1:5000/000000000000/tintype-FeedFanoutQueue");
        assert_eq!((given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], given["AWS_REGION"]), ("test", "test", "us-east-1"));
    }

    #[test]
    fn sam_is_told_the_names_that_the_host_gives() {
        let told: serde_json::Value = serde_json::from_str(&sam(template(), aws()).unwrap()).unwrap();
        assert_eq!(told["Parameters"]["USERS_TABLE"], "tintype-UsersTable");
        assert_eq!(told["Parameters"]["AWS_ENDPOINT_URL"], "http://192.0.2.1:5000");
        assert_eq!(told["Parameters"].get("AWS_ACCESS_KEY_ID"), None);
    }

    #[test]
    fn what_functions_do_not_agree_on_is_not_guessed() {
        let mut deployment = host::read_template(template(), aws()).unwrap();
        let users = deployment.functions.iter_mut().find(|function| function.binary == "users").unwrap();
        users.environment.insert("POSTS_TABLE".to_owned(), "another".to_owned());
        let error = variables(&deployment).unwrap_err().to_string();
        assert!(error.starts_with("the functions do not agree on POSTS_TABLE: ") && error.contains("another"), "{error}");
    }
}
