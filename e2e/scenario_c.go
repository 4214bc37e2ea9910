package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A mariadbColumn is a column of the given type, with values as MariaDB reads them in a statement, and the type that is declared to
// cdcd for records without schema; empty: none, what the JSON tells is right.
type mariadbColumn struct{ name, typ, low, high, usual, declared string }

// everyColumn has each type of MariaDB that Debezium sends as a simple value, with boundary values: smallest, largest
// and an ordinary one. A row of NULLs comes on top. INET4 and INET6 are not among them: Debezium 3.5's parser of DDL does not know
// them, and a connector fails on a table of any database of the server that has one.
func everyColumn() []mariadbColumn {
	return []mariadbColumn{
		{"c_boolean", "BOOLEAN", "0", "1", "2", "long"},
		{"c_tinyint", "TINYINT", "-128", "127", "0", ""},
		{"c_tinyint_u", "TINYINT UNSIGNED", "0", "255", "128", ""},
		{"c_smallint", "SMALLINT", "-32768", "32767", "0", ""},
		{"c_smallint_u", "SMALLINT UNSIGNED", "0", "65535", "32768", ""},
		{"c_mediumint", "MEDIUMINT", "-8388608", "8388607", "0", ""},
		{"c_mediumint_u", "MEDIUMINT UNSIGNED", "0", "16777215", "8388608", ""},
		{"c_int", "INT", "-2147483648", "2147483647", "0", ""},
		{"c_int_u", "INT UNSIGNED", "0", "4294967295", "2147483648", ""},
		{"c_bigint", "BIGINT", "-9223372036854775808", "9223372036854775807", "0", ""},
		{"c_bigint_u", "BIGINT UNSIGNED", "0", "18446744073709551615", "9223372036854775808", "decimal(20,0)"},
		{"c_decimal", "DECIMAL(10,2)", "-99999999.99", "99999999.99", "-1.28", "decimal(10,2)"},
		{"c_decimal_0", "DECIMAL(20)", "-99999999999999999999", "99999999999999999999", "0", "decimal(20,0)"},
		{"c_decimal_38", "DECIMAL(38,10)", "-9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999999", "0.0000000001", "decimal(38,10)"},
		{"c_decimal_65", "DECIMAL(65,30)", "-99999999999999999999999999999999999.999999999999999999999999999999", "99999999999999999999999999999999999.999999999999999999999999999999", "0.000000000000000000000000000001", ""},
		{"c_float", "FLOAT", "-3.40282e38", "3.40282e38", "0.1", "float"},
		{"c_double", "DOUBLE", "-1.7976931348623157e308", "1.7976931348623157e308", "2.2250738585072014e-308", "double"},
		{"c_bit_1", "BIT(1)", "b'0'", "b'1'", "b'1'", ""},
		{"c_bit_9", "BIT(9)", "b'0'", "b'111111111'", "b'100000001'", "binary"},
		{"c_bit_64", "BIT(64)", "0", "18446744073709551615", "9223372036854775809", "binary"},
		{"c_date", "DATE", "'1000-01-01'", "'9999-12-31'", "'1969-12-31'", "date"},
		{"c_time", "TIME", "'-838:59:59'", "'838:59:59'", "'00:00:00'", ""},
		{"c_time_3", "TIME(3)", "'-838:59:59.999'", "'838:59:59.999'", "'-00:00:00.001'", ""},
		{"c_time_6", "TIME(6)", "'-838:59:59.999999'", "'838:59:59.999999'", "'23:59:59.000001'", ""},
		{"c_datetime", "DATETIME", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'1969-12-31 23:59:59'", "long"},
		{"c_datetime_3", "DATETIME(3)", "'1000-01-01 00:00:00.000'", "'9999-12-31 23:59:59.999'", "'1969-12-31 23:59:59.999'", "long"},
		{"c_datetime_6", "DATETIME(6)", "'1000-01-01 00:00:00.000000'", "'9999-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.999999'", "long"},
		{"c_timestamp", "TIMESTAMP NULL", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-02-29 12:00:00'", "timestamptz"},
		{"c_timestamp_3", "TIMESTAMP(3) NULL", "'1970-01-01 00:00:01.000'", "'2038-01-19 03:14:07.999'", "'2024-02-29 12:00:00.120'", "timestamptz"},
		{"c_timestamp_6", "TIMESTAMP(6) NULL", "'1970-01-01 00:00:01.000000'", "'2038-01-19 03:14:07.999999'", "'2024-02-29 12:00:00.000001'", "timestamptz"},
		{"c_year", "YEAR", "1901", "2155", "2024", ""},
		{"c_char", "CHAR(10)", "''", "'äöü😀日本語xyz'", "'pad  '", ""},
		{"c_varchar", "VARCHAR(100)", "''", "REPEAT('😀', 100)", "' a\\n\\t\\\\\\\"\\'\\0z '", ""},
		{"c_latin1", "VARCHAR(20) CHARACTER SET latin1", "''", "'ÄÖÜß€'", "'plain'", ""},
		{"c_tinytext", "TINYTEXT", "''", "REPEAT('x', 255)", "'\u2028'", ""},
		{"c_text", "TEXT", "''", "REPEAT('ab', 100)", "'null'", ""},
		{"c_mediumtext", "MEDIUMTEXT", "''", "'medium'", "'{}'", ""},
		{"c_longtext", "LONGTEXT", "''", "'long'", "'[]'", ""},
		{"c_binary", "BINARY(8)", "x'0000000000000000'", "x'ffffffffffffffff'", "x'0102'", "binary"},
		{"c_varbinary", "VARBINARY(20)", "''", "x'ff00ff00'", "x'00'", "binary"},
		{"c_tinyblob", "TINYBLOB", "''", "x'fe'", "x'00ff'", "binary"},
		{"c_blob", "BLOB", "''", "REPEAT(x'80', 50)", "'text'", "binary"},
		{"c_mediumblob", "MEDIUMBLOB", "''", "x'80'", "x'81'", "binary"},
		{"c_longblob", "LONGBLOB", "''", "x'80'", "x'81'", "binary"},
		{"c_enum", "ENUM('', 'b', 'x,y', 'é')", "''", "'é'", "'x,y'", ""},
		{"c_set", "SET('a', 'b', 'c d')", "''", "'a,b,c d'", "'b'", ""},
		{"c_json", "JSON", "'{}'", "'{\"a\": [1, 2.50, 1e400, null, \"ä\"],   \"a\": 1}'", "'null'", ""},
		{"c_uuid", "UUID", "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'123e4567-e89b-12d3-a456-426655440001'", ""},
		{"c_generated", "INT AS (id * 2) STORED", "DEFAULT", "DEFAULT", "DEFAULT", ""},
		{"c_int_zerofill", "INT(10) ZEROFILL", "0", "4294967295", "42", ""},
		{"c_serial", "BIGINT UNSIGNED", "1", "18446744073709551614", "2", "decimal(20,0)"},
		{"c_numeric_u", "NUMERIC(6,3) UNSIGNED", "0.000", "999.999", "0.001", "decimal(6,3)"},
		{"c_float_md", "FLOAT(7,4)", "-999.9999", "999.9999", "0.0001", "double"},
		{"c_double_md", "DOUBLE(15,5)", "-9999999999.99999", "9999999999.99999", "0.00001", "double"},
		{"c_real", "REAL", "-2.5", "4.9406564584124654e-320", "0.1", "double"},
		{"c_nchar", "NCHAR(5)", "''", "'日本語日本'", "'a'", ""},
		{"c_nvarchar", "NVARCHAR(5)", "''", "'éあ한Ω\u2028'", "' '", ""},
	}
}

// everyGeometry has each geometry type, with a value of its own and its text in WKT; the first is a type for all of them.
func everyGeometry() []mariadbColumn {
	return []mariadbColumn{
		{"g_geometry", "GEOMETRY", "POINT(0 0)", "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1.5))", "POLYGON((0 0,0 1,1 1,0 0))", ""},
		{"g_point", "POINT", "POINT(0 0)", "POINT(1.7976931348623157e308 -1.7976931348623157e308)", "POINT(1 -2)", ""},
		{"g_linestring", "LINESTRING", "LINESTRING(0 0,0 0)", "LINESTRING(-180 -90,180 90)", "LINESTRING(0.1 0.2,0.3 0.4,0.5 0.6)", ""},
		{"g_polygon", "POLYGON", "POLYGON((0 0,0 1,1 1,0 0))", "POLYGON((0 0,0 9,9 9,9 0,0 0),(1 1,1 2,2 2,1 1))", "POLYGON((0 0,0 1,1 1,0 0))", ""},
		{"g_multipoint", "MULTIPOINT", "MULTIPOINT(0 0)", "MULTIPOINT(0 0,1e-300 1e300)", "MULTIPOINT(1 1,2 2)", ""},
		{"g_multilinestring", "MULTILINESTRING", "MULTILINESTRING((0 0,1 1))", "MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTILINESTRING((0 0,1 1))", ""},
		{"g_multipolygon", "MULTIPOLYGON", "MULTIPOLYGON(((0 0,0 1,1 1,0 0)))", "MULTIPOLYGON(((0 0,0 1,1 1,0 0)),((5 5,5 6,6 6,5 5)))", "MULTIPOLYGON(((0 0,0 1,1 1,0 0)))", ""},
		{"g_collection", "GEOMETRYCOLLECTION", "GEOMETRYCOLLECTION(POINT(0 0))", "GEOMETRYCOLLECTION(POINT(1 1),POLYGON((0 0,0 1,1 1,0 0)))", "GEOMETRYCOLLECTION(LINESTRING(0 0,1 1))", ""},
	}
}

// typeTables are a table with every simple type and one with every geometry.
func typeTables() (tables []sourceTable, create []string) {
	for name, columns := range map[string][]mariadbColumn{"every_type": everyColumn(), "every_geometry": everyGeometry()} {
		types, definitions := map[string]string{}, []string{"id INT PRIMARY KEY"}
		for _, c := range columns {
			definitions = append(definitions, c.name+" "+c.typ)
			if c.declared != "" {
				types[c.name] = c.declared
			}
		}
		tables = append(tables, sourceTable{name, types})
		create = append(create, fmt.Sprintf("CREATE TABLE %s (%s)", name, strings.Join(definitions, ", ")))
	}
	slices.SortFunc(tables, func(a, b sourceTable) int { return strings.Compare(b.name, a.name) })
	return tables, create
}

// typeRows are inserted twice: before the connector takes its snapshot, and after it, because Debezium reads a column in
// two different ways then. At last the values take turns, so that there are updates, and one row is deleted.
func typeRows(from int) (statements []string) {
	for _, t := range []struct {
		table   string
		columns []mariadbColumn
		value   func(v string, row int) string
	}{
		{"every_type", everyColumn(), func(v string, _ int) string { return v }},
		{"every_geometry", everyGeometry(), func(v string, row int) string {
			return fmt.Sprintf("ST_GeomFromText('%s', %d)", v, []int{0, 4326, 2147483647}[row])
		}},
	} {
		for i := range 4 {
			values := []string{fmt.Sprint(from + i)}
			for _, c := range t.columns {
				v := "NULL"
				if i < 3 || c.low == "DEFAULT" {
					v = [4]string{c.low, c.high, c.usual, c.low}[i]
				}
				if v != "NULL" && v != "DEFAULT" {
					v = t.value(v, i)
				}
				values = append(values, v)
			}
			statements = append(statements, fmt.Sprintf("INSERT INTO %s VALUES (%s)", t.table, strings.Join(values, ", ")))
		}
	}
	return statements
}

// typeChanges makes updates of streamed rows: every value becomes NULL and comes back, under another key, and one row is deleted.
func typeChanges() (statements []string) {
	for _, t := range []struct {
		table   string
		columns []mariadbColumn
	}{{"every_type", everyColumn()}, {"every_geometry", everyGeometry()}} {
		var nulls, back []string
		for _, c := range t.columns {
			if c.low != "DEFAULT" {
				nulls, back = append(nulls, "a."+c.name+" = NULL"), append(back, "a."+c.name+" = b."+c.name)
			}
		}
		statements = append(statements,
			fmt.Sprintf("UPDATE %s a SET %s WHERE id IN (1, 11)", t.table, strings.Join(nulls, ", ")),
			fmt.Sprintf("UPDATE %[1]s a JOIN %[1]s b ON a.id = 1 AND b.id = 12 SET %[2]s", t.table, strings.Join(back, ", ")),
			fmt.Sprintf("UPDATE %s SET id = 21 WHERE id = 2", t.table),
			fmt.Sprintf("DELETE FROM %s WHERE id = 14", t.table))
	}
	return statements
}

// escapedEnums puts the backslash before the comma of an ENUM's value, which the stream has and the snapshot has not, where no schema
// tells cdcd that it is an ENUM. Of the rows with a comma only that of the snapshot has not changed since.
func escapedEnums(f form, source rows) {
	at := slices.Index(source.columns, "c_enum")
	for _, row := range source.rows {
		if f == plain && at >= 0 && row[at] != nil && *row[0] != "3" {
			row[at] = new(strings.ReplaceAll(*row[at], ",", `\,`))
		}
	}
}

// scenarioC is every column type with its boundaries, in the snapshot and after it. Avro records are not captured: without their
// schemas they say nothing.
func scenarioC(ctx context.Context, w *world) (err error) {
	tables, create := typeTables()
	p := &play{w: w, scenario: "c", database: "types", forms: typeForms(w), mirrored: []form{withSchema, plain, flattened}, tables: tables}
	if w.moto != nil {
		p.mirrored = append(p.mirrored, avroGlue)
	}
	p.expect = escapedEnums
	defer func() { err = errors.Join(err, p.end()) }()
	if err := p.begin(ctx, "1s", func(db *sql.DB) error { return execAll(ctx, db, append(create, typeRows(1)...)...) }); err != nil {
		return err
	}
	if err := execAll(ctx, p.db, append(typeRows(11), typeChanges()...)...); err != nil {
		return err
	}
	settled := p.settle(ctx, 2*time.Minute)
	return errors.Join(settled, p.compare(ctx), p.capture(ctx, slices.DeleteFunc(slices.Clone(p.forms), func(f form) bool { return f == avroGlue })...))
}

// scenarioD changes the table's definition while rows change: a column is added, widened, dropped, renamed. Rows that
// nobody touched keep their old image, because no DDL sends rows again; so the end is an update of all of them.
func scenarioD(ctx context.Context, w *world) (err error) {
	p := &play{
		w: w, scenario: "d", database: "ddl", forms: []form{withSchema, plain}, mirrored: []form{withSchema}, tables: []sourceTable{{name: "ledger"}},
	}
	defer func() { err = errors.Join(err, p.end()) }()
	if err := p.begin(ctx, "250ms", func(db *sql.DB) error {
		return execAll(ctx, db, "CREATE TABLE ledger (id INT PRIMARY KEY, a INT, amount DECIMAL(8,2), f FLOAT, name VARCHAR(20), touched INT NOT NULL DEFAULT 0)",
			"INSERT INTO ledger VALUES (1, 1, 1.28, 0.5, 'one', 0), (2, 2, -999999.99, NULL, NULL, 0)")
	}); err != nil {
		return err
	}
	for _, s := range []string{
		"INSERT INTO ledger VALUES (3, 2147483647, 999999.99, 0.1, 'three', 0)",
		"ALTER TABLE ledger ADD COLUMN note VARCHAR(50) DEFAULT 'none' AFTER a",
		"INSERT INTO ledger (id, a, note) VALUES (4, 4, 'added'), (5, 5, NULL)",
		"ALTER TABLE ledger MODIFY a BIGINT",
		"UPDATE ledger SET a = 9223372036854775807 WHERE id = 3",
		"ALTER TABLE ledger MODIFY amount DECIMAL(14,2)",
		"INSERT INTO ledger (id, amount) VALUES (6, 999999999999.99)",
		"ALTER TABLE ledger MODIFY f DOUBLE",
		"INSERT INTO ledger (id, f) VALUES (7, 0.1)",
		"ALTER TABLE ledger DROP COLUMN name",
		"UPDATE ledger SET note = 'dropped' WHERE id = 1",
		"DELETE FROM ledger WHERE id = 2",
		"ALTER TABLE ledger RENAME COLUMN a TO b",
		"INSERT INTO ledger (id, b) VALUES (8, 8)",
		"ALTER TABLE ledger ADD COLUMN ref INT, ADD COLUMN day DATE FIRST",
		"INSERT INTO ledger (id, ref, day) VALUES (9, 9, '2024-02-29')",
	} {
		if err := execAll(ctx, p.db, s); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	if err := execAll(ctx, p.db, "UPDATE ledger SET touched = touched + 1"); err != nil {
		return err
	}
	settled := p.settle(ctx, time.Minute)
	return errors.Join(settled, p.compare(ctx), p.capture(ctx, p.forms...))
}

// scenarioS is a small shop, for captured records that stay small: its load is the same for the same seed.
func scenarioS(ctx context.Context, w *world) (err error) {
	p := &play{w: w, scenario: "b", database: "shop", forms: []form{withSchema, plain}, tables: shopTables()}
	defer func() { err = errors.Join(err, p.end()) }()
	if err := p.begin(ctx, "250ms", func(db *sql.DB) error { return fillShop(ctx, db, 3, 2) }); err != nil {
		return err
	}
	l := &load{db: p.db, workers: 1, perSecond: 20, seed: 4}
	if err := l.run(ctx, 24); err != nil {
		return err
	}
	if err := p.settle(ctx, time.Minute); err != nil {
		return err
	}
	return errors.Join(p.compare(ctx), p.capture(ctx, p.forms...))
}
