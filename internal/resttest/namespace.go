package resttest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// namespace holds tables by their names.
type namespace struct {
	properties map[string]string
	tables     map[string]*storedTable
}

// namespace returns the call's namespace.
func (s *Server) namespace(c *call) (*namespace, error) {
	n := s.namespaces[c.Namespace]
	if n == nil {
		return nil, wiretest.Errorf(http.StatusNotFound, NoSuchNamespaceException, "Namespace does not exist: %s", c.Namespace)
	}
	return n, nil
}

// levels are the levels of a namespace; a level holds no dot here.
func levels(name string) []string { return strings.Split(name, ".") }

func (s *Server) listNamespaces(c *call) (*wiretest.Answer, error) {
	if err := c.allow(map[string]string{"pageSize": "*"}); err != nil {
		return nil, err
	}
	list := [][]string{}
	for _, name := range slices.Sorted(maps.Keys(s.namespaces)) {
		list = append(list, levels(name))
	}
	return ok(map[string]any{"namespaces": list}), nil
}

func (s *Server) createNamespace(c *call) (*wiretest.Answer, error) {
	var in struct {
		Namespace  []string          `json:"namespace"`
		Properties map[string]string `json:"properties"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.Namespace) != 1 || in.Namespace[0] == "" || strings.Contains(in.Namespace[0], ".") {
		return nil, badRequest("resttest does not model the namespace %q: it knows those of one level without dots", in.Namespace)
	}
	name := in.Namespace[0]
	if s.namespaces[name] != nil {
		return nil, wiretest.Errorf(http.StatusConflict, AlreadyExistsException, "Namespace already exists: %s", name)
	}
	s.namespaces[name] = &namespace{properties: in.Properties, tables: map[string]*storedTable{}}
	return ok(map[string]any{"namespace": in.Namespace, "properties": in.Properties}), nil
}

func (s *Server) loadNamespaceMetadata(c *call) (*wiretest.Answer, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	return ok(map[string]any{"namespace": levels(c.Namespace), "properties": n.properties}), nil
}

func (s *Server) namespaceExists(c *call) (*wiretest.Answer, error) {
	if _, err := s.namespace(c); err != nil {
		return nil, err
	}
	return noContent(), nil
}

func (s *Server) dropNamespace(c *call) (*wiretest.Answer, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	if len(n.tables) > 0 {
		return nil, wiretest.Errorf(http.StatusConflict, NamespaceNotEmptyException, "Namespace is not empty: %s", c.Namespace)
	}
	delete(s.namespaces, c.Namespace)
	return noContent(), nil
}
