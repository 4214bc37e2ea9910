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
	TooManyRequestsException      = "TooManyRequestsException"       // 429.
	UnsupportedOperationException = "UnsupportedOperationException"  // 406.
)
