package awstest

// Error codes of AWS, for verdicts. Glue's own come with status 400 unless another is named.
const (
	AccessDeniedException                = "AccessDeniedException"
	AlreadyExistsException               = "AlreadyExistsException"
	ConcurrentModificationException      = "ConcurrentModificationException"
	EntityNotFoundException              = "EntityNotFoundException"
	GlueEncryptionException              = "GlueEncryptionException"
	InternalServiceException             = "InternalServiceException" // 500.
	InvalidInputException                = "InvalidInputException"
	OperationTimeoutException            = "OperationTimeoutException"
	ResourceNumberLimitExceededException = "ResourceNumberLimitExceededException"
	ThrottlingException                  = "ThrottlingException"
	ValidationException                  = "ValidationException"

	AccessDenied       = "AccessDenied"       // S3, 403.
	InternalError      = "InternalError"      // S3, 500.
	NoSuchBucket       = "NoSuchBucket"       // S3, 404.
	NoSuchKey          = "NoSuchKey"          // S3, 404.
	PreconditionFailed = "PreconditionFailed" // S3, 412.
	SlowDown           = "SlowDown"           // S3, 503.
)
