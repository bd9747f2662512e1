//! What a template may say and what it may not, and that the project's own is read as it is meant.

mod intrinsic_functions;
mod refusals;
mod the_template;

use std::collections::BTreeMap;

use crate::{Error, Machine, deployment::Deployment, read};

const ENDPOINT: &str = "http://127.0.0.1:4566";

fn machine() -> Machine {
    Machine {
        account_id: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        stack_name: "tintype".to_owned(),
        aws_endpoint: ENDPOINT.to_owned(),
    }
}

/// Reads a template of which `text` is all but the line that every template has.
pub(crate) fn read_with(text: &str, parameters: &[(&str, &str)]) -> Result<Deployment, Error> {
    let parameters: BTreeMap<String, String> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    read(&format!("Transform: AWS::Serverless-2016-10-31\n{text}"), &parameters, &machine())
}
