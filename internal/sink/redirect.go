package sink

import (
	"crypto/tls"
	"fmt"
	"net/http"
)

// stayingTransport returns iceberg-go's own transport but for redirects: see staying.
func stayingTransport(c *tls.Config) (http.RoundTripper, func()) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c}
	return staying{transport}, transport.CloseIdleConnections
}

// staying refuses redirects that lead to another host, or away from TLS: iceberg-go signs or authenticates each request on
// its way out, also one that a redirect asks for, and so would hand credentials and commits to whomever it names.
type staying struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s staying) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode > 399 {
		return resp, err
	}
	to, err := resp.Location()
	if err != nil || to.Host == r.URL.Host && (to.Scheme == r.URL.Scheme || to.Scheme == "https") {
		return resp, nil //nolint:nilerr // A redirect without a place to go to is no redirect.
	}
	_ = resp.Body.Close() // What it has to say is not read.
	return nil, fmt.Errorf("%s redirects to %s://%s: configure that as the catalog's uri if it is right", r.URL.Host, to.Scheme, to.Host)
}
