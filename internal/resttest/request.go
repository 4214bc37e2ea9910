package resttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is one request as it came over the wire, and what became of it.
type Request struct {
	Operation string // The specification's operationId, such as updateTable; for what is not modelled, method and path.

	Namespace, Table string   // The levels of a namespace are joined by dots.
	Requirements     []string // updateTable: their types, in order.
	Updates          []string // updateTable: their actions, in order.
	Body             []byte   // As sent; nothing for getToken.

	Scheme    string      // Of the Authorization: "Bearer", "AWS4-HMAC-SHA256", or empty if there is none.
	SignedFor string      // SigV4: "region/service".
	Header    http.Header // All but credentials.

	Applied bool   // It was done, whatever the client was told.
	Status  int    // The answer's HTTP status; 0 while there is none, or if there was never one.
	Type    string // The answer's type of error; empty for a success.
}

// String names the request in one line, such as "updateTable shop.orders".
func (r Request) String() string {
	return strings.TrimSpace(r.Operation + " " + strings.Trim(r.Namespace+"."+r.Table, "."))
}

// call is a request while it is being served.
type call struct {
	Request
	query  url.Values
	form   url.Values // getToken: the body.
	bearer string     // The token that came with it.
	apply  func(*Server, *call) (*answer, error)
}

func newCall(r *http.Request, prefix string, body []byte) *call {
	c := &call{query: r.URL.Query()}
	c.Body = body
	c.readAuthorization(r.Header)
	c.route(r.Method, r.URL.EscapedPath(), prefix)
	switch c.Operation {
	case "getToken":
		c.form, c.Body = parseForm(body), nil // It holds the credential.
	case "updateTable":
		c.Requirements, c.Updates = named(body, "requirements", "type"), named(body, "updates", "action")
	}
	return c
}

// readAuthorization keeps what tests may ask about; the token itself is for admit only.
func (c *call) readAuthorization(h http.Header) {
	c.Header = h.Clone()
	c.Header.Del("Authorization")
	c.Header.Del("X-Amz-Security-Token")
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	c.Scheme = scheme
	switch scheme {
	case "Bearer":
		c.bearer = rest
	case "AWS4-HMAC-SHA256": // Credential=KEY/DATE/REGION/SERVICE/aws4_request, …
		_, credential, _ := strings.Cut(rest, "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
		if scope := strings.Split(credential, "/"); len(scope) == 5 {
			c.SignedFor = scope[2] + "/" + scope[3]
		}
	}
}

// route finds the operation of a method and a path.
func (c *call) route(method, path, prefix string) {
	c.Operation, c.apply = method+" "+path, (*Server).unmodelled
	rest, found := strings.CutPrefix(path, "/v1/")
	if !found {
		return
	}
	if prefix != "" && rest != "config" && rest != "oauth/tokens" {
		if rest, found = strings.CutPrefix(rest, prefix+"/"); !found {
			return
		}
	}
	segments := strings.Split(rest, "/")
	shape := slices.Clone(segments)
	for _, i := range []int{1, 3} { // namespaces/{namespace}/tables/{table}
		if segments[0] == "namespaces" && i < len(segments) {
			shape[i] = "*"
			name, err := url.PathUnescape(segments[i])
			if err != nil {
				return
			}
			segments[i] = name
		}
	}
	for _, o := range operations() {
		if o.method == method && o.shape == strings.Join(shape, "/") {
			c.Operation, c.apply = o.name, o.apply
			if len(segments) > 1 && segments[0] == "namespaces" {
				c.Namespace = strings.ReplaceAll(segments[1], "\x1f", ".")
			}
			if len(segments) > 3 {
				c.Table = segments[3]
			}
		}
	}
}

type operation struct {
	name, method, shape string
	apply               func(*Server, *call) (*answer, error)
}

// operations are those that are modelled.
func operations() []operation {
	const namespaces, namespace, tables, table = "namespaces", "namespaces/*", "namespaces/*/tables", "namespaces/*/tables/*"
	return []operation{
		{"getConfig", http.MethodGet, "config", (*Server).getConfig},
		{"getToken", http.MethodPost, "oauth/tokens", (*Server).getToken},
		{"listNamespaces", http.MethodGet, namespaces, (*Server).listNamespaces},
		{"createNamespace", http.MethodPost, namespaces, (*Server).createNamespace},
		{"loadNamespaceMetadata", http.MethodGet, namespace, (*Server).loadNamespaceMetadata},
		{"namespaceExists", http.MethodHead, namespace, (*Server).namespaceExists},
		{"dropNamespace", http.MethodDelete, namespace, (*Server).dropNamespace},
		{"listTables", http.MethodGet, tables, (*Server).listTables},
		{"createTable", http.MethodPost, tables, (*Server).createTable},
		{"loadTable", http.MethodGet, table, (*Server).loadTable},
		{"tableExists", http.MethodHead, table, (*Server).tableExists},
		{"updateTable", http.MethodPost, table, (*Server).updateTable},
		{"dropTable", http.MethodDelete, table, (*Server).dropTable},
		{"loadCredentials", http.MethodGet, table + "/credentials", (*Server).loadCredentials},
	}
}

// endpoints lists the operations below the prefix as getConfig advertises them.
func endpoints() []string {
	var list []string
	for _, o := range operations() {
		if rest, found := strings.CutPrefix(o.shape, "namespaces"); found {
			rest = strings.Replace(strings.Replace(rest, "*", "{namespace}", 1), "*", "{table}", 1)
			list = append(list, o.method+" /v1/{prefix}/namespaces"+rest)
		}
	}
	return list
}

func (s *Server) unmodelled(c *call) (*answer, error) {
	return nil, &apiError{http.StatusNotAcceptable, UnsupportedOperationException, "resttest does not model " + c.Operation}
}

func badRequest(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, BadRequestException, fmt.Sprintf(format, args...)}
}

// decode reads the body, in which every field must be known.
func (c *call) decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(c.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest("%s: %v", c.Operation, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest("%s: something stands after the body", c.Operation)
	}
	return nil
}

// allow refuses query parameters that are not modelled: each must be named, with the value that it may have, or "*" for any.
func (c *call) allow(parameters map[string]string) error {
	for name, values := range c.query {
		if want, known := parameters[name]; !known || want != "*" && !slices.Equal(values, []string{want}) {
			return badRequest("resttest does not model %s=%s of %s", name, values, c.Operation)
		}
	}
	return nil
}

// named lists a field of each of the objects of a list; what is malformed is left to apply.
func named(body []byte, list, field string) []string {
	var whole map[string]json.RawMessage
	var objects []map[string]any
	if json.Unmarshal(body, &whole) != nil || json.Unmarshal(whole[list], &objects) != nil {
		return nil
	}
	var names []string
	for _, o := range objects {
		names = append(names, fmt.Sprint(o[field]))
	}
	return names
}
