package bookmark

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const example = `{"v":1,"cluster":"abc","topics":[` +
	`{"name":"shop.salesdb.customer","id":"x","partitions":[{"p":0,"next":123,"epoch":4},{"p":1,"next":0,"epoch":-1}]},` +
	`{"name":"shop.salesdb.orders","id":"","partitions":[{"p":0,"next":9223372036854775807,"epoch":0}]}]}`

const withKeys = `{"v":1,"cluster":"abc","topics":[` +
	`{"name":"a","id":"x","key":{"form":"confluent:42","since":1690000000000,"until":1690000100000},"partitions":[{"p":0,"next":123,"epoch":4}]},` +
	`{"name":"b","id":"","key":{"form":"schema:0123456789abcdef","since":0,"until":0,"was":"json:fedcba9876543210"},"partitions":[]}]}`

func position(topic string, partition int32, next int64) Bookmark {
	var b Bookmark
	b.Set(topic, "", Partition{Partition: partition, Next: next, Epoch: -1})
	return b
}

func TestParseAndStringAreInverse(t *testing.T) {
	for _, text := range []string{example, withKeys, `{"v":1,"cluster":"","topics":[]}`, `{"v":1,"cluster":"c","topics":[{"name":"t","id":"","partitions":[]}]}`} {
		b, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, b.String()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestStringOfTheZeroValueParses(t *testing.T) {
	b, err := Parse(Bookmark{}.String())
	if err != nil || !b.IsZero() {
		t.Errorf("got %v, %v", b, err)
	}
}

func TestStringHasOneOrderOnly(t *testing.T) {
	want, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	shuffled := Bookmark{Cluster: want.Cluster, Topics: []Topic{want.Topics[1], {
		Name: want.Topics[0].Name, ID: want.Topics[0].ID, Partitions: []Partition{want.Topics[0].Partitions[1], want.Topics[0].Partitions[0]},
	}}}
	if shuffled.String() != example {
		t.Errorf("got %s", shuffled)
	}
	if shuffled.Topics[0].Name != "shop.salesdb.orders" {
		t.Error("String changed its receiver")
	}
	if !shuffled.Equal(want) {
		t.Error("equal positions differ")
	}
}

func TestParseRefusesWhatItDoesNotFullyUnderstand(t *testing.T) {
	topic := func(partitions string) string {
		return `{"v":1,"cluster":"c","topics":[{"name":"t","id":"","partitions":[` + partitions + `]}]}`
	}
	for name, text := range map[string]string{
		"no JSON":              `bookmark`,
		"empty":                ``,
		"null":                 `null`,
		"no version":           `{"cluster":"c","topics":[]}`,
		"newer version":        strings.Replace(example, `"v":1`, `"v":2`, 1),
		"unknown field":        strings.Replace(example, `"cluster"`, `"extra":1,"cluster"`, 1),
		"unknown topic field":  strings.Replace(example, `"id"`, `"extra":1,"id"`, 1),
		"trailing text":        example + `x`,
		"two documents":        example + example,
		"topic twice":          `{"v":1,"cluster":"c","topics":[{"name":"t","id":"","partitions":[]},{"name":"t","id":"","partitions":[]}]}`,
		"topic without a name": `{"v":1,"cluster":"c","topics":[{"name":"","id":"","partitions":[]}]}`,
		"partition twice":      topic(`{"p":0,"next":1,"epoch":0},{"p":0,"next":2,"epoch":0}`),
		"negative partition":   topic(`{"p":-1,"next":1,"epoch":0}`),
		"negative offset":      topic(`{"p":0,"next":-1,"epoch":0}`),
		"epoch below -1":       topic(`{"p":0,"next":1,"epoch":-2}`),
		"offset too large":     topic(`{"p":0,"next":9223372036854775808,"epoch":0}`),
		"key without a form":   strings.Replace(withKeys, "confluent:42", "", 1),
		"key of a long form":   strings.Replace(withKeys, "confluent:42", strings.Repeat("x", 129), 1),
		"key from before 1970": strings.Replace(withKeys, `"since":0`, `"since":-1`, 1),
		"key until before":     strings.Replace(withKeys, "1690000100000", "1", 1),
		"unknown key member":   strings.Replace(withKeys, `"was"`, `"is"`, 1),
		"fractional offset":    topic(`{"p":0,"next":1.5,"epoch":0}`),
	} {
		if b, err := Parse(text); err == nil {
			t.Errorf("%s: parsed as %v", name, b)
		}
	}
	if _, err := Parse(`{"v":2,"anything":true}`); !errors.Is(err, ErrVersion) {
		t.Errorf("newer version: got %v, want ErrVersion", err)
	}
}

func TestNoPartitionsHaveOneForm(t *testing.T) {
	none, empty := Bookmark{Topics: []Topic{{Name: "t"}}}, Bookmark{Topics: []Topic{{Name: "t", Partitions: []Partition{}}}}
	if !none.Equal(empty) {
		t.Errorf("%s differs from %s", none, empty)
	}
}

func TestSetAndLookUp(t *testing.T) {
	var b Bookmark
	for _, p := range []Partition{{2, 20, 0}, {0, 5, -1}, {2, 21, 1}} {
		b.Set("t", "id", p)
	}
	b.Set("a", "", Partition{Partition: 0, Next: 1})
	b.Set("t", "", Partition{Partition: 1, Next: 7})
	want := Bookmark{Topics: []Topic{
		{Name: "a", Partitions: []Partition{{0, 1, 0}}},
		{Name: "t", ID: "id", Partitions: []Partition{{0, 5, -1}, {1, 7, 0}, {2, 21, 1}}},
	}}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Error(diff)
	}
	if p, ok := b.Partition("t", 2); !ok || p.Next != 21 {
		t.Errorf("partition t/2: got %v, %v", p, ok)
	}
	if _, ok := b.Partition("t", 3); ok {
		t.Error("partition t/3 was found")
	}
	if _, ok := b.Topic("missing"); ok {
		t.Error("a missing topic was found")
	}
}

// What is known of keys is a part of the bookmark, but no position: it goes with the rows wherever they go.
func TestKeysAreNoPosition(t *testing.T) {
	b := position("t", 0, 5)
	c := b.Clone()
	c.SetKey("t", &Key{Form: "confluent:42", Since: 7, Until: 8})
	c.SetKey("missing", &Key{Form: "confluent:42"})
	if b.Equal(c) || b.Topics[0].Key != nil || len(c.Topics) != 1 {
		t.Errorf("%s became %s", b, c)
	}
	if moved := b.MovedBack(c); moved != "" {
		t.Errorf("moved back: %s", moved)
	}
	c.Set("t", "id", Partition{Partition: 0, Next: 6})
	if c.Topics[0].Key == nil {
		t.Error("a moved position has lost its key")
	}
	if c.SetKey("t", nil); !c.Equal(Bookmark{Topics: []Topic{{Name: "t", ID: "id", Partitions: []Partition{{0, 6, 0}}}}}) {
		t.Errorf("got %s", c)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	b := position("t", 0, 1)
	c := b.Clone()
	c.Set("t", "new", Partition{Partition: 0, Next: 9})
	c.Set("u", "", Partition{})
	if diff := cmp.Diff(position("t", 0, 1), b); diff != "" {
		t.Error(diff)
	}
}

// I3: only a position that is at or after the earlier one everywhere has not moved back.
func TestMovedBack(t *testing.T) {
	two := position("t", 0, 5)
	two.Set("u", "", Partition{Partition: 0, Next: 5})
	for _, test := range []struct {
		name     string
		from, to Bookmark
		want     string
	}{
		{"nothing to nothing", Bookmark{}, Bookmark{}, ""},
		{"a first position", Bookmark{}, position("t", 0, 5), ""},
		{"the same", position("t", 0, 5), position("t", 0, 5), ""},
		{"forward", position("t", 0, 5), position("t", 0, 6), ""},
		{"back", position("t", 0, 5), position("t", 0, 4), "t/0 from 5 to 4"},
		{"a partition less", position("t", 1, 5), position("t", 0, 5), "t/1 from 5 to 0"},
		{"a partition less, at its beginning", position("t", 1, 0), position("t", 0, 5), "t/1 from 0 to 0"},
		{"a topic less", two, position("t", 0, 9), "u/0 from 5 to 0"},
		{"a topic more", position("t", 0, 5), two, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.to.MovedBack(test.from); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example)
	f.Add(withKeys)
	f.Add(`{"v":1,"cluster":"","topics":[{"name":"\u0000","id":"","partitions":null}]}`)
	f.Add(`{"v":1}`)
	f.Add(`{"v":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(b.String())
		if err != nil {
			t.Fatalf("%q parsed as %s, which does not parse: %v", text, b, err)
		}
		if !again.Equal(b) || again.String() != b.String() {
			t.Fatalf("%q parsed as %s, and then as %s", text, b, again)
		}
		if moved := again.MovedBack(b); moved != "" {
			t.Fatalf("a position moved back from itself: %s", moved)
		}
	})
}
