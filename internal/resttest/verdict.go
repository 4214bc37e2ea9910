package resttest

// Types of errors, for verdicts, as the specification's examples name them.
const (
	AlreadyExistsException        = "AlreadyExistsException"         // 409.
	AuthenticationTimeout         = "AuthenticationTimeoutException" // 419.
	BadRequestException           = "BadRequestException"            // 400.
	CommitFailedException         = "CommitFailedException"          // 409.
	CommitStateUnknownException   = "CommitStateUnknownException"    // 500, 502 and 504.
	InternalServerError           = "InternalServerError"            // 500.
	NamespaceNotEmptyException    = "NamespaceNotEmptyException"     // 409.
	NoSuchNamespaceException      = "NoSuchNamespaceException"       // 404.
	NoSuchTableException          = "NoSuchTableException"           // 404.
	NotAuthorizedException        = "NotAuthorizedException"         // 401 and 403.
	SlowDownException             = "SlowDownException"              // 503.
	UnsupportedOperationException = "UnsupportedOperationException"  // 406.
)

// Verdict is what becomes of a request. The zero Verdict is Do.
type Verdict struct {
	withhold bool // The request is not done.
	drop     bool // The connection is closed instead of answered.
	status   int
	kind     string
}

// Do serves the request.
func Do() Verdict { return Verdict{} }

// Refuse answers with an HTTP status and a type of error instead of doing what was asked.
func Refuse(status int, kind string) Verdict {
	return Verdict{withhold: true, status: status, kind: kind}
}

// DoThenRefuse does what was asked and then answers with an error: the client cannot know that it was done.
func DoThenRefuse(status int, kind string) Verdict { return Verdict{status: status, kind: kind} }

// Drop closes the connection instead of doing what was asked.
func Drop() Verdict { return Verdict{withhold: true, drop: true} }

// DoThenDrop does what was asked and then closes the connection without an answer.
func DoThenDrop() Verdict { return Verdict{drop: true} }
