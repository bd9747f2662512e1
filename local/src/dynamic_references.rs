//! `{{resolve:secretsmanager:ARN}}` in functions' environments, which `CloudFormation` resolves when it deploys: here at the start.
//!
//! Of the forms that there are (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html>)
//! the one that the template uses: a whole value that is the current version of a whole secret.

use tintype_cloud::secrets::Secrets;
use tintype_template::deployment::Deployment;

/// Puts the secrets' values into the environments of all functions. What names no secret of the template stays as it is.
pub(crate) fn resolve(deployment: &mut Deployment, secrets: &Secrets) {
    for value in deployment.functions.iter_mut().flat_map(|function| function.environment.values_mut()) {
        if let Some(secret) = secret_of(value).and_then(|id| secrets.value(id)) {
            *value = secret;
        }
    }
}

fn secret_of(value: &str) -> Option<&str> {
    value.strip_prefix("{{resolve:secretsmanager:")?.strip_suffix("}}")
}

#[cfg(test)]
mod tests {
    use super::secret_of;

    #[test]
    fn a_whole_value_that_is_a_reference_names_its_secret() {
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:tintype-OriginSecret-000000";
        assert_eq!(secret_of(&format!("{{{{resolve:secretsmanager:{arn}}}}}")), Some(arn));
        for other in [arn, "", "{{resolve:ssm:name}}", "{{resolve:secretsmanager:x"] {
            assert_eq!(secret_of(other), None, "{other}");
        }
    }
}
