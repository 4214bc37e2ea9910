// Package captured reads records that were captured from the real stack, and what the source's own SELECT said of the same tables, for
// tests that fold the one and compare it with the other. e2e/README.md tells how they are made.
package captured

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A Record is one Kafka record, in the order of table, partition and offset.
type Record struct {
	Name, Topic string
	Key, Value  *string
	Line        string // As it stands in the file: a line of cdcd decode's input.
}

// Table returns the source's table, database first.
func (r *Record) Table() string { return r.Topic[strings.Index(r.Topic, ".")+1:] }

// Bytes returns what Kafka held: nil for a null.
func Bytes(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}

// A Table is what SELECT * says of a table: canonical text as e2e/compare.go defines it.
type Table struct {
	Table   string
	Columns []string
	Rows    [][]*string
}

// Records reads the records of a scenario in one form, such as "c" and "flattened".
func Records(dir, scenario, form string) (out []Record, err error) {
	err = eachLine(dir, scenario+"-"+form+"-*.jsonl*", func(line []byte) error {
		r := Record{Line: string(line)}
		err := json.Unmarshal(line, &r)
		out = append(out, r)
		return err
	})
	return out, err
}

// Tables reads the tables of a scenario by their names.
func Tables(dir, scenario string) (map[string]Table, error) {
	out := map[string]Table{}
	return out, eachLine(dir, scenario+"-*.select.jsonl", func(line []byte) error {
		var t Table
		err := json.Unmarshal(line, &t)
		out[t.Table] = t
		return err
	})
}

// eachLine calls f with the lines of the one file of that name in dir.
func eachLine(dir, pattern string, f func([]byte) error) error {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%d files are named %s in %s: %w", len(found), pattern, dir, err)
	}
	file, err := os.Open(found[0])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var in io.Reader = file
	if strings.HasSuffix(found[0], ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return err
		}
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := f(lines.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", found[0], err)
		}
	}
	return lines.Err()
}
