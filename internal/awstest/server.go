// Package awstest is an AWS Glue Data Catalog and an S3 in one process, speaking their real wire protocols to the real SDKs.
//
// It is for tests only. A test starts a Server, points the SDKs at it with Server.Config or Server.Environ, and then sees every
// request and decides the fate of each, as wiretest describes.
//
// An operation, a parameter or an x-amz- header that is not modelled is refused with an error that says so. Signatures are not verified, but a
// request that is not signed at all is refused. Everything is held in memory.
package awstest

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// What the one account of a Server is called.
const (
	AccountID       = "123456789012" // Also Glue's catalog id.
	Region          = "eu-central-1"
	AccessKeyID     = "AKIAAWSTEST"
	secretAccessKey = "awstest"
)

// Server is one account's Glue and S3 on loopback. Its methods may be called from several goroutines.
type Server struct {
	*wiretest.Server
	caBundle string

	mu        sync.Mutex // Guards what follows. No hook runs under it.
	databases map[string]*database
	buckets   map[string]*bucket
	schemas   map[string]schemaVersion // By the version's id.
	serial    int                      // Numbers requests and uploads.
}

// Start serves plain HTTP until the test ends. Over it the SDK sends an object's checksum as a header.
func Start(t testing.TB) *Server {
	t.Helper()
	s := newServer()
	s.Server = wiretest.Start(t, s.newCall)
	return s
}

// StartTLS serves HTTPS until the test ends, as AWS does: over it the SDK sends objects as aws-chunked with a trailing checksum.
// Clients must trust the server's certificate, which those of Config and Environ do.
func StartTLS(t testing.TB) *Server {
	t.Helper()
	s := newServer()
	s.Server = wiretest.StartTLS(t, s.newCall)
	s.caBundle = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(s.caBundle, certificate, 0o600); err != nil {
		t.Fatalf("write certificate: %v", err)
	}
	return s
}

func newServer() *Server {
	return &Server{databases: map[string]*database{}, buckets: map[string]*bucket{}, schemas: map[string]schemaVersion{}}
}

// Config returns what the SDKs' NewFromConfig need to reach the server. Its retryer is the SDK's own but does not wait between
// attempts. S3 clients find buckets in the path because the endpoint is an address, not a name.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:                     Region,
		BaseEndpoint:               aws.String(s.URL()),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // As the SDK's default configuration has them.
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials:                credentials.NewStaticCredentialsProvider(AccessKeyID, secretAccessKey, ""),
		HTTPClient:                 s.Client(),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
				o.RateLimiter = ratelimit.None
			})
		},
	}
}

// Environ lists the variables, as "NAME=value", by which the SDK's default configuration finds the server and nothing else.
func (s *Server) Environ() []string {
	env := []string{
		"AWS_ENDPOINT_URL=" + s.URL(),
		"AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + secretAccessKey,
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
	if s.caBundle != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.caBundle)
	}
	return env
}

// Setenv puts Environ into the environment until the test ends.
func (s *Server) Setenv(t testing.TB) {
	t.Helper()
	for _, variable := range s.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}
