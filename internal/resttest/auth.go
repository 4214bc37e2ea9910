package resttest

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// admit refuses who may not come in. The lock is held.
func (s *Server) admit(c *call) error {
	if s.o.SigV4 && c.SignedFor == "" {
		return wiretest.Errorf(http.StatusForbidden, NotAuthorizedException, "the request is not signed")
	}
	if s.o.Credential == "" && s.o.Token == "" || c.Operation == "getToken" {
		return nil
	}
	if s.o.Token != "" && c.bearer == s.o.Token {
		return nil
	}
	end, issued := s.tokens[c.bearer]
	switch {
	case !issued:
		return wiretest.Errorf(http.StatusUnauthorized, NotAuthorizedException, "the bearer token is missing or unknown")
	case time.Now().After(end):
		return wiretest.Errorf(419, AuthenticationTimeout, "the bearer token has expired")
	}
	return nil
}

// RevokeTokens makes all tokens that getToken has handed out unknown.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// getToken is the client credentials flow of OAuth2 (RFC 6749, section 4.4), with the credential in the form.
func (s *Server) getToken(c *call) (*wiretest.Answer, error) {
	refuse := func(code string) (*wiretest.Answer, error) {
		return jsonAnswer(http.StatusUnauthorized, code, map[string]string{"error": code}), nil // Not the schema of other errors.
	}
	id, secret, found := strings.Cut(s.o.Credential, ":")
	if !found {
		id, secret = "", s.o.Credential
	}
	form := c.form
	switch {
	case form.Get("grant_type") != "client_credentials":
		return refuse("unsupported_grant_type")
	case s.o.Credential == "", form.Get("client_id") != id, form.Get("client_secret") != secret:
		return refuse("invalid_client")
	case form.Get("scope") != "catalog":
		return refuse("invalid_scope")
	}
	s.issued++
	token := "resttest-" + strconv.Itoa(s.issued)
	s.tokens[token] = time.Now().Add(s.o.TokenLife)
	return ok(map[string]any{
		"access_token": token, "token_type": "bearer", "expires_in": int(s.o.TokenLife.Seconds()),
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
	}), nil
}

func (s *Server) getConfig(c *call) (*wiretest.Answer, error) {
	if err := c.allow(map[string]string{"warehouse": "*"}); err != nil {
		return nil, err
	}
	defaults, overrides := maps.Clone(s.o.Defaults), maps.Clone(s.o.Overrides)
	if overrides == nil {
		overrides = map[string]string{}
	}
	if defaults == nil {
		defaults = map[string]string{}
	}
	if s.o.Prefix != "" {
		overrides["prefix"] = s.o.Prefix
	}
	return ok(map[string]any{"defaults": defaults, "overrides": overrides, "endpoints": endpoints()}), nil
}

func parseForm(body []byte) url.Values {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return url.Values{}
	}
	return form
}
