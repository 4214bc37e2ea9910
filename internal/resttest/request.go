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

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// call is a request while it is being served.
type call struct {
	wiretest.Request
	s      *Server
	query  url.Values
	form   url.Values // getToken: the body.
	bearer string     // The token that came with it.
	apply  func(*Server, *call) (*wiretest.Answer, error)
}

func (s *Server) newCall(r *http.Request, body []byte) wiretest.Call {
	c := &call{s: s, query: r.URL.Query()}
	c.Service, c.Body, c.RequestBytes = "rest", body, int64(len(body))
	c.bearer = c.ReadHeader(r.Header)
	c.route(r.Method, r.URL.EscapedPath(), s.o.Prefix)
	switch c.Operation {
	case "getToken":
		c.form, c.Body = parseForm(body), nil // It holds the credential.
	case "updateTable":
		c.Requirements, c.Updates = named(body, "requirements", "type"), named(body, "updates", "action")
	}
	return c
}

// Record implements wiretest.Call.
func (c *call) Record() *wiretest.Request { return &c.Request }

// Admit refuses who may not come in.
func (c *call) Admit() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.admit(c)
}

// Do implements wiretest.Call.
func (c *call) Do() (*wiretest.Answer, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.apply(c.s, c)
}

// Word words an error as the schema ErrorModel demands.
func (c *call) Word(e *wiretest.Error) *wiretest.Answer {
	return jsonAnswer(e.Status, e.Code, map[string]any{
		"error": map[string]any{"message": e.Message, "type": e.Code, "code": e.Status},
	})
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
	apply               func(*Server, *call) (*wiretest.Answer, error)
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

func (s *Server) unmodelled(c *call) (*wiretest.Answer, error) {
	return nil, wiretest.Errorf(http.StatusNotAcceptable, UnsupportedOperationException, "resttest does not model %s", c.Operation)
}

func badRequest(format string, args ...any) error {
	return wiretest.Errorf(http.StatusBadRequest, BadRequestException, format, args...)
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
