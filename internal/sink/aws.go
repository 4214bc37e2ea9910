package sink

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog/rest"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/cdcd-project/cdcd/internal/halt"
)

// AWSOptions say how AWS is reached. All are optional: the SDK's own chain finds region and credentials.
type AWSOptions struct {
	Region       string
	S3Endpoint   string // A URL in place of the region's S3.
	GlueEndpoint string // A URL in place of the region's Glue.
	PathStyle    bool   // Buckets in the path instead of the host name; always so with an S3Endpoint.
	KMSKeyID     string // Encrypt objects with this key (SSE-KMS); "aws/s3" for the account's own key.
	RoleARN      string // Assume this role.
}

// LoadAWS returns the configuration of AWS calls that are not the catalog's.
func LoadAWS(ctx context.Context, o AWSOptions) (*aws.Config, error) {
	cfg, err := awsConfig(ctx, o)
	return &cfg, err
}

// awsConfig returns the one configuration of all AWS calls.
func awsConfig(ctx context.Context, o AWSOptions) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(awsClient(silenceMax))}
	if o.Region != "" {
		options = append(options, config.WithRegion(o.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("load AWS configuration: %w", err)
	}
	if o.RoleARN != "" {
		provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), o.RoleARN, func(a *stscreds.AssumeRoleOptions) { a.RoleSessionName = "cdcd" })
		cfg.Credentials = aws.NewCredentialsCache(provider)
	}
	cfg.APIOptions = append(cfg.APIOptions, neverRetryUpdateTable)
	if o.KMSKeyID != "" {
		cfg.APIOptions = append(cfg.APIOptions, encryptWith(o.KMSKeyID))
	}
	return cfg, nil
}

// storageProperties are the properties by which iceberg-go's storage finds S3.
func (o AWSOptions) storageProperties() iceberg.Properties {
	p := iceberg.Properties{}
	if o.Region != "" {
		p[iceio.S3Region] = o.Region
	}
	if o.S3Endpoint != "" {
		p[iceio.S3EndpointURL] = o.S3Endpoint
	}
	if o.S3Endpoint != "" || o.PathStyle {
		p[iceio.S3ForceVirtualAddressing] = strconv.FormatBool(false)
	}
	return p
}

// neverRetryUpdateTable takes the SDK's retries out of Glue's UpdateTable: a success that is retried ends as a conflict, and the
// door has to know what was sent (I5). The door repeats it by itself.
func neverRetryUpdateTable(stack *middleware.Stack) error {
	if stack.ID() != "UpdateTable" {
		return nil
	}
	_, err := stack.Finalize.Remove("Retry")
	return err
}

// encryptWith makes every object that is written encrypted with a KMS key, as bucket policies may demand in each request.
func encryptWith(key string) func(*middleware.Stack) error {
	var id *string // Without an id S3 takes the account's own key.
	if key != "aws/s3" {
		id = &key
	}
	encrypt := middleware.InitializeMiddlewareFunc("cdcd:SSE-KMS", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		switch p := in.Parameters.(type) {
		case *s3.PutObjectInput:
			p.ServerSideEncryption, p.SSEKMSKeyId = s3types.ServerSideEncryptionAwsKms, id
		case *s3.CreateMultipartUploadInput:
			p.ServerSideEncryption, p.SSEKMSKeyId = s3types.ServerSideEncryptionAwsKms, id
		}
		return next.HandleInitialize(ctx, in)
	})
	return func(stack *middleware.Stack) error { return stack.Initialize.Add(encrypt, middleware.Before) }
}

// accessDenied turns a refusal by AWS or by a REST catalog into a halt, which is probed again by itself; other errors, and nil,
// stay as they are.
func accessDenied(err error) error {
	if errors.Is(err, rest.ErrUnauthorized) || errors.Is(err, rest.ErrAuthorizationExpired) {
		return halt.Newf(halt.AccessDenied, "Renew the catalog's token or credential, and restart cdcd if it is another one. cdcd looks again by itself.", "%w", err)
	}
	if errors.Is(err, rest.ErrForbidden) {
		return halt.Newf(halt.AccessDenied, "Grant the catalog's principal what docs/permissions.md lists. cdcd looks again by itself.", "%w", err)
	}
	refused, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	switch refused.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedException", "GlueEncryptionException", "KMSAccessDeniedException":
		return halt.Newf(halt.AccessDenied, "Grant the role what docs/permissions.md lists; with Lake Formation also the data location. cdcd looks again by itself.",
			"%w", err)
	}
	return err
}

// invalidRequest reports whether the catalog says that the request itself is at fault.
func invalidRequest(err error) bool {
	if errors.Is(err, rest.ErrBadRequest) {
		return true
	}
	refused, ok := errors.AsType[smithy.APIError](err)
	return ok && (refused.ErrorCode() == "InvalidInputException" || refused.ErrorCode() == "ValidationException")
}
