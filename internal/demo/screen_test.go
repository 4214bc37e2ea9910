package demo

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestScreenWithoutATerminalPrintsLinesOnly(t *testing.T) {
	var out bytes.Buffer
	s := NewScreen(&out)
	s.Paint([]string{"a block"})
	s.Print("one %d", 1)
	s.Paint([]string{"a block"})
	s.Keep()
	s.Print("two")
	if got, want := out.String(), "one 1\ntwo\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a terminal shows, by a model of one that knows only the two sequences in use.
func TestScreenKeepsTheBlockBelowAllLines(t *testing.T) {
	null, err := os.Open(os.DevNull) // Has no width.
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out bytes.Buffer
	s := &Screen{out: &out, terminal: null}
	s.Print("first")
	s.Paint([]string{"block 1", "second line of it"})
	s.Print("second")
	s.Paint([]string{"block 2"})
	s.Print("third")
	s.Paint([]string{"block 3", strings.Repeat("é", 100)})
	s.Keep()
	s.Print("last")
	want := []string{"first", "second", "third", "block 3", strings.Repeat("é", 79), "last"}
	if diff := cmp.Diff(want, shown(t, out.String())); diff != "" {
		t.Error(diff)
	}
}

func shown(t *testing.T, text string) []string {
	var lines []string
	for text != "" {
		if up, ok := strings.CutPrefix(text, "\r\x1b["); ok {
			n := int(up[0] - '0')
			if !strings.HasPrefix(up[1:], "A\x1b[J") || n > len(lines) {
				t.Fatalf("unknown sequence in %q above %q", text, lines)
			}
			lines, text = lines[:len(lines)-n], up[len("1A\x1b[J"):]
			continue
		}
		line, rest, _ := strings.Cut(text, "\n")
		lines, text = append(lines, line), rest
	}
	return lines
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"Ada Lovelace": "Ada Lovelace", "Łucja 日本": "Łucja 日本", "": `""`, " ": `" "`, "a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestFiguresAreThoseOfTheRegistry(t *testing.T) {
	r := prometheus.NewRegistry()
	counter := func(name string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: "A counter."}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name string, labels ...string) *prometheus.GaugeVec {
		c := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "A gauge."}, labels)
		r.MustRegister(c)
		return c
	}
	consumed := counter("cdcd_records_consumed_total", "table")
	commits := counter("cdcd_commits_total", "table", "outcome")
	lag := gauge("cdcd_consumer_lag_records", "table", "partition")
	halted := gauge("cdcd_table_halted", "table", "reason")
	consumed.WithLabelValues("salesdb.customer").Add(7)
	consumed.WithLabelValues("salesdb.orders").Add(5)
	consumed.WithLabelValues("somebody.else").Add(1000)
	commits.WithLabelValues("salesdb.orders", "committed").Add(3)
	commits.WithLabelValues("salesdb.orders", "conflict").Add(100)
	lag.WithLabelValues("salesdb.customer", "a/0").Set(20)
	lag.WithLabelValues("salesdb.customer", "a/1").Set(1)
	halted.WithLabelValues("salesdb.orders", "bad_record").Set(0)

	tables := NewShop(1).Tables()
	f, err := gather(r, tables)
	if err != nil {
		t.Fatal(err)
	}
	if f.consumed() != 12 || f.commits() != 3 || f.lag() != 21 || f.failure() != nil {
		t.Errorf("%d consumed, %d commits, lag %d, failure %v; want 12, 3, 21, nil", f.consumed(), f.commits(), f.lag(), f.failure())
	}
	halted.WithLabelValues("salesdb.orders", "bad_record").Set(1)
	if f, err = gather(r, tables); err != nil {
		t.Fatal(err)
	}
	if err := f.failure(); err == nil || !strings.Contains(err.Error(), "salesdb.orders halted: bad_record") {
		t.Errorf("failure is %v", err)
	}
}
