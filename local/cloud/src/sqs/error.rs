//! Why SQS refuses, with AWS' names for it.

use crate::state;

/// Why a queue refuses. Displays as AWS words it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No queue of that name.
    #[error("The specified queue does not exist.")]
    NoSuchQueue,
    /// A queue of that name has other attributes.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueExists(&'static str),
    /// Not a handle of this queue.
    #[error("The input receipt handle is invalid.")]
    InvalidReceiptHandle,
    /// The message is not hidden by a receive.
    #[error("The specified message isn't in flight.")]
    NotInFlight,
    /// A character that no message may carry.
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    InvalidMessageContents,
    /// A queue attribute that is unknown, or not emulated.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// A queue attribute's value is out of its range.
    #[error("Invalid value for the parameter {0}.")]
    InvalidAttributeValue(String),
    /// A parameter's value is out of its range.
    #[error("{0}")]
    InvalidParameter(String),
    /// A parameter is missing.
    #[error("{0}")]
    MissingParameter(String),
    /// A batch without entries.
    #[error("There should be at least one {0} in the request.")]
    EmptyBatch(&'static str),
    /// A batch of more than ten.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntries(usize),
    /// Two entries of a batch have one id.
    #[error("Id {0} repeated.")]
    RepeatedEntryId(String),
    /// An id is not 1 to 80 letters, digits, hyphens and underscores.
    #[error("A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")]
    InvalidEntryId,
    /// The messages of a batch are together too large.
    #[error("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes.")]
    BatchTooLong {
        /// Most bytes.
        limit: usize,
        /// Bytes sent.
        sent: usize,
    },
    /// The queue of a move does not exist.
    #[error("The resource that you specified for the {0} parameter doesn't exist.")]
    NoSuchResource(&'static str),
    /// As many messages are in flight as may be.
    #[error("The maximum number of in flight messages is reached: {limit}.")]
    OverLimit {
        /// Most messages in flight.
        limit: u64,
    },
    /// What AWS has and this machine has not.
    #[error("{0} is not emulated on this machine.")]
    Unsupported(String),
    /// No action of SQS.
    #[error("There is no action {0}.")]
    UnknownOperation(String),
    /// An entry of a batch was not done, because it was to go wrong.
    #[error("The entry was not processed: chaos.")]
    Unprocessed,
    /// The request is not the JSON that the action takes.
    #[error("{0}")]
    Malformed(String),
    /// The database fails.
    #[error(transparent)]
    State(#[from] state::Error),
}

impl Error {
    /// The error's shape in the JSON protocol, and its code in the older query protocol, which SDKs
    /// read from `x-amzn-query-error`.
    pub(super) fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoSuchQueue => ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
            Self::QueueExists(_) => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists"),
            Self::InvalidReceiptHandle => ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
            Self::NotInFlight => ("com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
            Self::InvalidMessageContents => ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents"),
            Self::InvalidAttributeName(_) => ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName"),
            Self::InvalidAttributeValue(_) => ("com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue"),
            Self::InvalidParameter(_) => ("com.amazonaws.sqs#InvalidParameterValueException", "InvalidParameterValue"),
            Self::MissingParameter(_) => ("com.amazonaws.sqs#MissingRequiredParameterException", "MissingParameter"),
            Self::EmptyBatch(_) => ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
            Self::TooManyEntries(_) => {
                ("com.amazonaws.sqs#TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
            }
            Self::RepeatedEntryId(_) => ("com.amazonaws.sqs#BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
            Self::InvalidEntryId => ("com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
            Self::BatchTooLong { .. } => ("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
            Self::NoSuchResource(_) => ("com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException"),
            Self::OverLimit { .. } => ("com.amazonaws.sqs#OverLimit", "OverLimit"),
            Self::Unsupported(_) => ("com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
            Self::UnknownOperation(_) => ("com.amazon.coral.service#UnknownOperationException", "InvalidAction"),
            Self::Malformed(_) => ("com.amazon.coral.service#SerializationException", "MalformedInput"),
            Self::Unprocessed | Self::State(_) => ("com.amazon.coral.service#InternalFailure", "InternalFailure"),
        }
    }

    /// Whether the sender is at fault; else trying again may help.
    pub(super) fn is_senders(&self) -> bool {
        !matches!(self, Self::Unprocessed | Self::State(_))
    }
}
