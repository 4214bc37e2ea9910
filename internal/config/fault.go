package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// position is a place in the file; both count from 1, and a column is a byte.
type position struct{ line, column int }

// faults collects what is wrong with one file.
//
// Invariant: a path has at most one fault, and none if a section around it has one. The first one told counts: what
// follows from it would only confuse.
type faults struct {
	file      string
	positions map[string]position // By path, as join writes it.
	found     []fault
}

type fault struct {
	path    string
	at      position
	message string
}

// addf records a fault at path, whose message starts with the path. A path that is not in the file is shown where its
// section begins.
func (f *faults) addf(path, format string, args ...any) {
	f.add(path, path+" "+fmt.Sprintf(format, args...))
}

func (f *faults) add(path, message string) {
	for _, other := range f.found {
		if rest, within := strings.CutPrefix(path, other.path); within && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return
		}
	}
	f.found = append(f.found, fault{path: path, at: f.position(path), message: message})
}

// set reports whether the file has a value at path.
func (f *faults) set(path string) bool {
	_, ok := f.positions[path]
	return ok
}

// position returns the place of path or of the nearest section around it, or else of the file's beginning.
func (f *faults) position(path string) position {
	for path != "" {
		if at, ok := f.positions[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return position{1, 1}
}

// err returns all faults in the file's order, one a line, or nil.
func (f *faults) err() error {
	slices.SortStableFunc(f.found, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	all := make([]error, 0, len(f.found))
	for _, one := range f.found {
		all = append(all, fmt.Errorf("%s:%d:%d: %s", f.file, one.at.line, one.at.column, one.message))
	}
	return errors.Join(all...)
}

// bare reports whether TOML lets the key stand without quotes.
func bare(key string) bool {
	return key != "" && strings.IndexFunc(key, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}

// join returns the path of key within the table at path: "kafka.tls", `catalog.properties."a.b"`.
func join(path, key string) string {
	if !bare(key) {
		key = fmt.Sprintf("%q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// element returns the path of element i of the array at path: "table[0]".
func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// general returns path without the numbers of elements, which is how rules name it: "table.topic".
func general(path string) string { return regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path, "") }
