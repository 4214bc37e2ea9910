package debezium

import (
	"testing"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A record key that repeats the row's bytes is not decoded, and tells the same as one that is.
func TestKeysThatRepeatTheRowAreTheRows(t *testing.T) {
	d := NewDecoder(Options{})
	s := table(t, "a! int, b! string, v int")
	d.Bind(s)
	rows := row.NewRows(s)
	var ev Event
	value := record("c", "null", `{"A":1,"b":"x","v":7}`)
	for _, tc := range []struct {
		key          string
		echoed, told bool
		name         string
	}{
		{`{"A":1,"b":"x"}`, false, true, "A"}, // The row's members are not learned yet.
		{`{"A":1,"b":"x"}`, true, true, "A"},
		{`{"b":"x","A":1}`, false, true, "A"},
		{`{"A":1,"b":"x" }`, false, true, "A"},
		{`{"A":2,"b":"x"}`, false, false, ""},
		{`{"A":1,"b":"y"}`, false, false, ""},
		{`{"A":1}`, false, false, ""},
		{`{"A":1,"b":"x","v":7}`, false, false, ""},
		{`{"a":1,"b":"x"}`, false, true, "a"},
		{`{"A":1,"b":"x"}`, true, true, "A"},
	} {
		err := d.Decode([]byte(tc.key), value, rows, &ev)
		if d.keyEchoed != tc.echoed || (err == nil) != tc.told {
			t.Errorf("%s: echoed %v, %v", tc.key, d.keyEchoed, err)
		}
		if err == nil && (d.KeyName(0) != tc.name || d.KeyName(1) != "b") {
			t.Errorf("%s: the names are %s and %s", tc.key, d.KeyName(0), d.KeyName(1))
		}
	}
	if err := d.Decode([]byte(`{"a":1,"b":"x"}`), nil, rows, &ev); err != nil || d.KeyName(0) != "a" {
		t.Errorf("a tombstone behind it: %v, %s", err, d.KeyName(0))
	}
}

// Where the row lacks an identifier column the key is decoded to complete it, and then says nothing about the row's text.
func TestKeysThatCompleteTheRowAreNotTakenForItsText(t *testing.T) {
	d := NewDecoder(Options{})
	s := table(t, "a! int, b! string, v int")
	d.Bind(s)
	rows := row.NewRows(s)
	var ev Event
	for range 3 {
		value := []byte(`{"before":null,"after":{"v":7,"b":"x"},"op":"c"}`)
		if err := d.Decode([]byte(`{"a":1,"b":"x"}`), value, rows, &ev); err != nil || d.keyEchoed {
			t.Fatalf("echoed %v, %v", d.keyEchoed, err)
		}
	}
	if got := string(rows.Vectors[0].AppendText(nil, 2)); got != "1" {
		t.Errorf("a is %s", got)
	}
}
