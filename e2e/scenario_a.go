package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// scenarioA is the walk-through of the article on CDC-based upserts with Athena and Iceberg: one table with an initial
// load; then three inserts, two updates, a delete and an insert; then the two queries of the article.
func scenarioA(ctx context.Context, w *world) (err error) {
	p := &play{w: w, scenario: "a", database: "salesdb", forms: []form{withSchema, plain}, tables: []sourceTable{{name: "CUSTOMER"}}}
	defer func() { err = errors.Join(err, p.end()) }()
	if err := p.begin(ctx, "1s", func(db *sql.DB) error {
		return execAll(ctx, db,
			"CREATE TABLE CUSTOMER (CUST_ID INT NOT NULL PRIMARY KEY, NAME VARCHAR(100), MKTSEGMENT VARCHAR(10))",
			"INSERT INTO CUSTOMER SELECT seq, CONCAT('Customer#', LPAD(seq, 9, '0')), ELT(1 + seq % 5, 'BUILDING', 'MACHINERY', 'HOUSEHOLD', 'FURNITURE', 'AUTOMOBILE') FROM seq_1_to_100")
	}); err != nil {
		return err
	}
	if err := p.settle(ctx, 2*time.Minute); err != nil {
		return err
	}
	if err := p.compare(ctx); err != nil {
		return err
	}
	if err := execAll(ctx, p.db,
		"INSERT INTO CUSTOMER VALUES (101, 'Customer#000000101', 'BUILDING'), (102, 'Customer#000000102', NULL), (103, 'Ωmega 😀', '')",
		"UPDATE CUSTOMER SET MKTSEGMENT = 'MACHINERY' WHERE CUST_ID = 7",
		"UPDATE CUSTOMER SET NAME = NULL WHERE CUST_ID = 103",
		"DELETE FROM CUSTOMER WHERE CUST_ID = 42",
		"INSERT INTO CUSTOMER VALUES (104, 'Customer#000000104', 'FURNITURE')"); err != nil {
		return err
	}
	if err := p.settle(ctx, time.Minute); err != nil {
		return err
	}
	if err := p.compare(ctx); err != nil {
		return err
	}
	return p.compareQueries(ctx)
}

// compareQueries runs the article's two queries: the newest forty customers, and how many there are.
func (p *play) compareQueries(ctx context.Context) error {
	newest, err := sourceRows(ctx, p.db, "CUSTOMER", "ORDER BY cust_id DESC LIMIT 40")
	if err != nil {
		return err
	}
	var count string
	if err := p.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM CUSTOMER").Scan(&count); err != nil {
		return err
	}
	p.eachReader(p.tables[0], func(c *cdcd, r reader, m mirror) (int, int, []string, error) {
		got, err := r.read(ctx, c.target, m.name, "cust_id", 40)
		if err != nil {
			return 0, 1, nil, err
		}
		bad, examples := compare(newest, got, true)
		counted, err := r.count(ctx, c.target, m.name)
		if err == nil && counted != count {
			bad++
			examples = append(examples, fmt.Sprintf("COUNT(*) is %s, not %s", counted, count))
		}
		return len(newest.rows) + 1, bad, examples, err
	})
	return nil
}

func lower(s string) string { return strings.ToLower(s) }

// containsField tells whether a record's text has the member, and not one that only begins like it.
func containsField(value []byte, member string) bool {
	for rest := value; ; {
		i := bytes.Index(rest, []byte(member))
		if i < 0 {
			return false
		}
		rest = rest[i+len(member):]
		if len(rest) > 0 && (rest[0] == ',' || rest[0] == '}') {
			return true
		}
	}
}
