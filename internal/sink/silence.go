package sink

import (
	"context"
	"net"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// silenceMax is how long a connection to AWS may be silent while something is expected of it. The SDK waits for ever: a reply that never
// comes would hang a table without a word. What is slow but moves is waited for, however long it takes.
const silenceMax = 2 * time.Minute

// awsClient returns the SDK's own HTTP client, but with connections that break when they have been silent for too long.
func awsClient(silence time.Duration) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		dial := t.DialContext
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &lively{c, silence}, nil
		}
	})
}

// lively is a connection that breaks after a time in which nothing was read or written.
type lively struct {
	net.Conn
	silence time.Duration
}

// Read implements io.Reader.
func (c *lively) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements io.Writer. Nobody answers before the request is there: what is written keeps the reading alive as well.
func (c *lively) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
