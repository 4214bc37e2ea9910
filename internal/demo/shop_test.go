package demo

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
)

// The messages of a long run, folded by a naive reader that knows only the messages, give what Truth says.
func TestMessagesFoldToTruth(t *testing.T) {
	for _, test := range []struct {
		name       string
		schemaless bool
		rows, txns int
		seed       uint64
	}{
		{"with schemas", false, 3000, 3000, 1},
		{"payloads only", true, 3000, 20_000, 2},
		{"snapshot of one row", true, 1, 500, 3},
		{"snapshot of two rows", true, 2, 500, 4},
		{"no snapshot", true, 0, 2000, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := NewShop(test.seed)
			s.Schemaless = test.schemaless
			f := newFold(t, s)
			snapshot := 0
			for m := range s.Snapshot(test.rows) {
				f.apply(m)
				snapshot++
			}
			if snapshot != test.rows {
				t.Errorf("a snapshot of %d messages, want %d", snapshot, test.rows)
			}
			f.compare()
			for i := range test.txns {
				for _, m := range s.Change() {
					f.apply(m)
				}
				if i%1000 == 0 {
					f.compare()
				}
			}
			f.compare()
			if test.txns >= 2000 {
				for _, op := range []string{"c", "u", "d", "tombstone"} {
					if f.ops[op] < 20 {
						t.Errorf("%d events of op %s in %v", f.ops[op], op, f.ops)
					}
				}
			}
		})
	}
}

func TestSeedGivesTheSameMessages(t *testing.T) {
	run := func(seed uint64) string {
		s, all := NewShop(seed), []byte{}
		for m := range s.Snapshot(200) {
			all = append(append(append(all, m.Topic...), m.Key...), m.Value...)
		}
		for range 500 {
			for _, m := range s.Change() {
				all = append(append(append(all, m.Topic...), m.Key...), m.Value...)
			}
		}
		return string(all)
	}
	first := run(7)
	if again := run(7); again != first {
		t.Error("two runs of one seed differ")
	}
	if other := run(8); other == first {
		t.Error("two seeds give the same run")
	}
}

func TestMessagesAreNotWrittenToAgain(t *testing.T) {
	s := NewShop(1)
	var got, copies [][]byte
	for range 2000 {
		for _, m := range s.Change() {
			got = append(got, m.Key, m.Value)
			copies = append(copies, bytes.Clone(m.Key), bytes.Clone(m.Value))
		}
	}
	if !slices.EqualFunc(got, copies, bytes.Equal) {
		t.Error("a message changed after it was handed out")
	}
}

// The walk-through that the demo plays by hand, in the middle of traffic.
func TestCustomersByHand(t *testing.T) {
	s := NewShop(3)
	s.Schemaless = true
	f := newFold(t, s)
	for m := range s.Snapshot(100) {
		f.apply(m)
	}
	steps := []func() []Message{
		func() []Message { return s.InsertCustomer(8889, "c", "BUILDING") },
		func() []Message { return s.InsertCustomer(8887, "a", "BUILDING") },
		func() []Message { return s.InsertCustomer(8888, "b", "BUILDING") },
		func() []Message { return s.UpdateCustomer(8888, "b2", "MACHINERY") },
		func() []Message { return s.UpdateCustomer(8889, "c2", "MACHINERY") },
		func() []Message { return s.DeleteCustomer(8887) },
		func() []Message { return s.InsertCustomer(9000, "d", "FURNITURE") },
	}
	for _, step := range steps {
		for _, m := range step() {
			f.apply(m)
		}
		for _, m := range s.Change() {
			f.apply(m)
		}
	}
	for range 20_000 {
		for _, m := range s.Change() {
			f.apply(m)
		}
	}
	f.compare()
	var byHand []string
	for row := range s.Truth("customer") {
		if row[0] >= "8000" && row[0] <= "9999" && len(row[0]) == 4 {
			byHand = append(byHand, strings.Join(row, " "))
		}
	}
	if want := []string{"8888 b2 MACHINERY", "8889 c2 MACHINERY", "9000 d FURNITURE"}; !cmp.Equal(byHand, want) {
		t.Error(cmp.Diff(byHand, want))
	}
}

func TestTrafficStepsOverHandMadeNumbers(t *testing.T) {
	s := NewShop(1)
	s.customerMax = handFirst - 3
	var got []int32
	for range 4 {
		got = append(got, s.nextCustomer())
	}
	if want := []int32{handFirst - 2, handFirst - 1, handLast + 1, handLast + 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTruthIsInKeyOrder(t *testing.T) {
	s := NewShop(11)
	s.fill(500)
	for range 3000 {
		s.Change()
	}
	for _, table := range s.Tables() {
		var last []string
		rows := 0
		for row := range s.Truth(table.Name) {
			rows++
			if len(row) != len(table.Columns) {
				t.Fatalf("%s: %d columns, want %d", table.Name, len(row), len(table.Columns))
			}
			key := slices.Clone(row[:len(table.Key)])
			if last != nil && slices.CompareFunc(last, key, compareNumbers) >= 0 {
				t.Fatalf("%s: %v after %v", table.Name, key, last)
			}
			last = key
		}
		if rows == 0 || rows != s.Rows(table.Name) {
			t.Errorf("%s: Truth has %d rows, Rows says %d", table.Name, rows, s.Rows(table.Name))
		}
	}
}

func compareNumbers(a, b string) int {
	x, _ := new(big.Int).SetString(a, 10)
	y, _ := new(big.Int).SetString(b, 10)
	return x.Cmp(y)
}

func TestClockOfTheCallerIsUsed(t *testing.T) {
	s, now := NewShop(1), time.Date(2030, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	s.Schemaless, s.Now = true, func() time.Time { return now }
	value := string(s.InsertCustomer(8887, "a", "BUILDING")[0].Value)
	if want := fmt.Sprintf(`"ts_us":%d000000`, now.Unix()); !strings.Contains(value, want) {
		t.Errorf("no %s in %s", want, value)
	}
}

func TestBinaryLogRotates(t *testing.T) {
	s := NewShop(1)
	s.conn.pos = binlogBytes + 1
	value := string(s.Change()[0].Value)
	if want := `"file":"mysql-bin.000004","pos":`; !strings.Contains(value, want) || s.conn.pos > 1000 {
		t.Errorf("no %s in %s", want, value)
	}
}

// The exact text of messages, reviewed by eye against Debezium's.
func TestMessageText(t *testing.T) {
	datadriven.RunTest(t, "testdata/shop_messages.txt", func(_ *testing.T, d *datadriven.TestData) string {
		s := NewShop(1)
		s.Schemaless = d.HasArg("schemaless")
		var out strings.Builder
		show := func(m Message) {
			value := string(m.Value)
			if m.Value == nil {
				value = "(tombstone)"
			}
			fmt.Fprintf(&out, "%s\n  %s\n  %s\n", m.Topic, m.Key, value)
		}
		for m := range s.Snapshot(4) {
			if d.Cmd == "snapshot" {
				show(m)
			}
		}
		switch d.Cmd {
		case "customer":
			changes := slices.Concat(s.InsertCustomer(8887, "Ada \"A\"", "BUILDING"), s.UpdateCustomer(8887, "Ada\n", "BUILDING"), s.DeleteCustomer(8887))
			for _, m := range changes {
				show(m)
			}
		case "rekey":
			s.begin()
			s.renumberItem()
			for _, m := range s.out {
				show(m)
			}
		case "order":
			s.begin()
			s.placeOrder()
			s.advanceOrder()
			for _, m := range s.out {
				show(m)
			}
		}
		return out.String()
	})
}

func TestDecimalIsTheShortestTwosComplement(t *testing.T) {
	for _, x := range []int64{0, 1, 127, 128, 255, 256, -1, -128, -129, 32767, 32768, -32768, -32769, totalMax, -totalMax, 1<<63 - 1, -1 << 63} {
		raw, err := base64.StdEncoding.DecodeString(strings.Trim(string(appendDecimal(nil, x)), `"`))
		if err != nil {
			t.Fatal(err)
		}
		if got := twosComplement(raw); got.Int64() != x {
			t.Errorf("%d became %v (% x)", x, got, raw)
		}
		if len(raw) > 1 && (raw[0] == 0 && raw[1] < 0x80 || raw[0] == 0xff && raw[1] >= 0x80) {
			t.Errorf("%d takes %d bytes: % x", x, len(raw), raw)
		}
	}
}

func BenchmarkChange(b *testing.B) {
	for _, schemaless := range []bool{false, true} {
		b.Run(fmt.Sprintf("schemaless=%t", schemaless), func(b *testing.B) {
			s := NewShop(1)
			s.Schemaless = schemaless
			s.fill(10_000)
			messages, size := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				for _, m := range s.Change() {
					messages++
					size += len(m.Key) + len(m.Value)
				}
			}
			b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(size)/float64(messages), "bytes/message")
		})
	}
}
