package awstest

// Error codes of AWS, for verdicts. Glue's own come with status 400 unless another is named.
const (
	AccessDeniedException           = "AccessDeniedException"
	AlreadyExistsException          = "AlreadyExistsException"
	ConcurrentModificationException = "ConcurrentModificationException"
	EntityNotFoundException         = "EntityNotFoundException"
	GlueEncryptionException         = "GlueEncryptionException"
	InternalServiceException        = "InternalServiceException" // 500.
	InvalidInputException           = "InvalidInputException"
	OperationTimeoutException       = "OperationTimeoutException"
	ThrottlingException             = "ThrottlingException"
	ValidationException             = "ValidationException"

	AccessDenied       = "AccessDenied"       // S3, 403.
	InternalError      = "InternalError"      // S3, 500.
	NoSuchBucket       = "NoSuchBucket"       // S3, 404.
	NoSuchKey          = "NoSuchKey"          // S3, 404.
	PreconditionFailed = "PreconditionFailed" // S3, 412.
	SlowDown           = "SlowDown"           // S3, 503.
)

// Verdict is what becomes of a request. The zero Verdict is Do.
type Verdict struct {
	withhold bool // The request is not done.
	drop     bool // The connection is closed instead of answered.
	code     string
	status   int
}

// Do serves the request.
func Do() Verdict { return Verdict{} }

// Refuse answers with an error of AWS instead of doing what was asked.
func Refuse(code string, status int) Verdict {
	return Verdict{withhold: true, code: code, status: status}
}

// DoThenRefuse does what was asked and then answers with an error: the client cannot know that it was done.
func DoThenRefuse(code string, status int) Verdict { return Verdict{code: code, status: status} }

// Drop closes the connection instead of doing what was asked.
func Drop() Verdict { return Verdict{withhold: true, drop: true} }

// DoThenDrop does what was asked and then closes the connection without an answer.
func DoThenDrop() Verdict { return Verdict{drop: true} }
