//! What a template says that means nothing on one machine. Whatever is neither emulated nor on these lists is an error.

/// Types of resources, and why nothing is made of them.
const TYPES: &[(&str, &str)] = &[
    ("AWS::ApiGateway::Account", "whether an AWS account writes logs"),
    ("AWS::CloudFront::Function", "the gateway itself knows /media"),
    ("AWS::CloudFront::OriginAccessControl", "access rights"),
    ("AWS::CloudWatch::Alarm", "nobody is paged"),
    ("AWS::IAM::Role", "access rights"),
    ("AWS::Logs::LogGroup", "logs are files in the state folder"),
    ("AWS::S3::BucketPolicy", "access rights"),
    ("AWS::SNS::Topic", "nobody is paged"),
];

/// Fields of what is emulated, and why nothing is made of them.
const FIELDS: &[(&str, &str)] = &[
    ("Template.AWSTemplateFormatVersion", "there is one"),
    ("Template.Description", "for people"),
    ("Parameter.Description", "for people"),
    ("Resource.DeletionPolicy", "nothing is deleted here but by --reset"),
    ("Resource.DependsOn", "the host has its own order"),
    ("Resource.UpdateReplacePolicy", "nothing is replaced"),
    ("AWS::CloudFront::Distribution.DistributionConfig.CacheBehaviors.AllowedMethods", "the gateway itself takes no other"),
    ("AWS::CloudFront::Distribution.DistributionConfig.CacheBehaviors.CachePolicyId", "nothing is cached"),
    ("AWS::CloudFront::Distribution.DistributionConfig.CacheBehaviors.FunctionAssociations", "the gateway itself knows /media"),
    ("AWS::CloudFront::Distribution.DistributionConfig.CacheBehaviors.ViewerProtocolPolicy", "no TLS"),
    ("AWS::CloudFront::Distribution.DistributionConfig.Comment", "for people"),
    ("AWS::CloudFront::Distribution.DistributionConfig.DefaultCacheBehavior", "the gateway serves the API itself"),
    ("AWS::CloudFront::Distribution.DistributionConfig.Enabled", "it always is"),
    ("AWS::CloudFront::Distribution.DistributionConfig.HttpVersion", "HTTP/1.1"),
    ("AWS::CloudFront::Distribution.DistributionConfig.Origins.CustomOriginConfig", "no TLS"),
    ("AWS::CloudFront::Distribution.DistributionConfig.Origins.OriginAccessControlId", "access rights"),
    ("AWS::CloudFront::Distribution.DistributionConfig.Origins.OriginCustomHeaders", "the gateway serves the API itself"),
    ("AWS::CloudFront::Distribution.DistributionConfig.Origins.S3OriginConfig", "access rights"),
    ("AWS::DynamoDB::Table.PointInTimeRecoverySpecification", "backups"),
    ("AWS::DynamoDB::Table.SSESpecification", "encryption at rest"),
    ("AWS::S3::Bucket.BucketEncryption", "encryption at rest"),
    ("AWS::S3::Bucket.LifecycleConfiguration", "the janitor tidies up; a forgotten upload does no harm here"),
    ("AWS::S3::Bucket.PublicAccessBlockConfiguration", "access rights"),
    ("AWS::SecretsManager::Secret.Description", "for people"),
    ("AWS::SecretsManager::Secret.GenerateSecretString.ExcludePunctuation", "local secrets have none"),
    ("AWS::Serverless::Api.AccessLogSetting.DestinationArn", "access.log in the state folder"),
    ("AWS::Serverless::Api.EndpointConfiguration", "one machine"),
    ("AWS::Serverless::Api.Name", "for people"),
    ("AWS::Serverless::Api.OpenApiVersion", "how SAM writes the API down"),
    ("AWS::Serverless::Api.TracingEnabled", "no X-Ray"),
    ("AWS::Serverless::Function.Architectures", "this machine's"),
    ("AWS::Serverless::Function.CodeUri", "all functions are in the host's binary"),
    ("AWS::Serverless::Function.Description", "for people"),
    ("AWS::Serverless::Function.LoggingConfig", "functions log to functions.log in the state folder"),
    ("AWS::Serverless::Function.Policies", "access rights"),
    ("AWS::Serverless::Function.Tracing", "no X-Ray"),
];

/// Whether resources of type `name` are known to mean nothing here.
pub(crate) fn resource_type(name: &str) -> bool {
    TYPES.iter().any(|(known, _)| *known == name)
}

/// Whether the field `name` of `what` is known to mean nothing here.
pub(crate) fn field(what: &str, name: &str) -> bool {
    FIELDS.iter().any(|(known, _)| known.strip_prefix(what).and_then(|rest| rest.strip_prefix('.')) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, TYPES};

    /// What the template no longer says must not be let pass any more.
    #[test]
    fn the_lists_name_only_what_the_template_uses() {
        let template = include_str!("../../../template.yaml");
        for (name, _) in TYPES {
            assert!(template.contains(&format!("Type: {name}\n")), "{name}");
        }
        for (path, _) in FIELDS {
            let name = path.rsplit('.').next().unwrap();
            assert!(template.contains(&format!("{name}:")), "{path}");
        }
    }
}
