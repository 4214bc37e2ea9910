package sink

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
)

// renewal replaces a token that the server does not accept any more, for instance because it was restarted and has forgotten it:
// iceberg-go goes on with a token until its life is over, and for ever if the server has set no end to it. A refused request
// did nothing, so that it is sent again.
type renewal struct {
	http.RoundTripper
	mu             sync.Mutex
	asked          *http.Request // How iceberg-go asked for its token.
	refused, valid string        // The Authorization that iceberg-go still sends, and the one to be sent in its place.
}

// newRenewal is a rest.TransportFactory. Below it, redirects stay on the host.
func newRenewal(config *tls.Config) (transport http.RoundTripper, closeIdle func()) {
	transport, closeIdle = stayingTransport(config)
	return &renewal{RoundTripper: transport}, closeIdle
}

// RoundTrip implements http.RoundTripper.
func (n *renewal) RoundTrip(request *http.Request) (*http.Response, error) {
	given := request.Header.Get("Authorization")
	if given == "" && request.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		n.mu.Lock()
		n.asked = request
		n.mu.Unlock()
	}
	if !strings.HasPrefix(given, "Bearer ") {
		return n.RoundTripper.RoundTrip(request)
	}
	sent := n.current(given)
	first := request.Clone(request.Context())
	first.Header.Set("Authorization", sent)
	response, err := n.RoundTripper.RoundTrip(first)
	if err != nil || response.StatusCode != http.StatusUnauthorized && response.StatusCode != statusTokenExpired {
		return response, err
	}
	second, err := again(request.Context(), request)
	if err != nil {
		return response, nil //nolint:nilerr // The refusal is the answer.
	}
	valid, err := n.renew(request.Context(), given, sent)
	if err != nil {
		return response, nil //nolint:nilerr // The same.
	}
	_ = response.Body.Close()
	second.Header.Set("Authorization", valid)
	return n.RoundTripper.RoundTrip(second)
}

// statusTokenExpired is the REST protocol's own status for that.
const statusTokenExpired = 419

// current returns what is to be sent where iceberg-go sends given.
func (n *renewal) current(given string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if given == n.refused {
		return n.valid
	}
	return given
}

// renew returns what is to be sent after sent was refused. Of requests that were refused at once, one asks for a token.
func (n *renewal) renew(ctx context.Context, given, sent string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if given == n.refused && sent != n.valid {
		return n.valid, nil
	}
	if n.asked == nil {
		return "", errors.New("no token was asked for")
	}
	request, err := again(ctx, n.asked)
	if err != nil {
		return "", err
	}
	response, err := n.RoundTripper.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		return "", err
	}
	if token.AccessToken == "" {
		return "", errors.New("the answer has no token: " + response.Status)
	}
	n.refused, n.valid = given, "Bearer "+token.AccessToken
	return n.valid, nil
}

// again returns a request that was sent before, to be sent again.
func again(ctx context.Context, request *http.Request) (*http.Request, error) {
	repeated := request.Clone(ctx)
	if request.Body == nil || request.Body == http.NoBody {
		return repeated, nil
	}
	if request.GetBody == nil {
		return nil, errors.New("the body cannot be read again")
	}
	var err error
	repeated.Body, err = request.GetBody()
	return repeated, err
}
