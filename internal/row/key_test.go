package row

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func keyOf(t *testing.T, types []Type, fill func(r *Rows)) []byte {
	t.Helper()
	s := &Schema{}
	for i, typ := range types {
		s.Columns = append(s.Columns, Column{Name: string(rune('a' + i)), Type: typ})
		s.Key = append(s.Key, i)
	}
	rows := NewRows(s)
	fill(rows)
	key, err := rows.AppendKey(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeysSurviveWidening(t *testing.T) {
	asInt := keyOf(t, []Type{{Kind: Int}}, func(r *Rows) { r.Vectors[0].AppendInt32(-5) })
	asLong := keyOf(t, []Type{{Kind: Long}}, func(r *Rows) { r.Vectors[0].AppendInt64(-5) })
	if !bytes.Equal(asInt, asLong) {
		t.Errorf("int %x, long %x", asInt, asLong)
	}
	narrow := keyOf(t, []Type{{Kind: Decimal, Precision: 4, Scale: 2}}, func(r *Rows) { r.Vectors[0].AppendDecimal(Decimal128{Lo: 150}) })
	wide := keyOf(t, []Type{{Kind: Decimal, Precision: 38, Scale: 2}}, func(r *Rows) { r.Vectors[0].AppendDecimal(Decimal128{Lo: 150}) })
	if !bytes.Equal(narrow, wide) {
		t.Errorf("narrow %x, wide %x", narrow, wide)
	}
}

func TestCompositeKeysDoNotRunTogether(t *testing.T) {
	pair := func(a, b string) []byte {
		return keyOf(t, []Type{{Kind: String}, {Kind: String}}, func(r *Rows) {
			r.Vectors[0].AppendBytes([]byte(a))
			r.Vectors[1].AppendBytes([]byte(b))
		})
	}
	seen := map[string]string{}
	for _, p := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}, {"a\x01", "b"}, {"a", "\x01b"}} {
		key := string(pair(p[0], p[1]))
		if other, ok := seen[key]; ok {
			t.Errorf("%q has the key of %s", p, other)
		}
		seen[key] = p[0] + "," + p[1]
	}
}

func TestKeysAreWrittenInKeyOrder(t *testing.T) {
	s := &Schema{Columns: []Column{{Name: "a", Type: Type{Kind: Boolean}}, {Name: "b", Type: Type{Kind: String}}}, Key: []int{1, 0}}
	rows := NewRows(s)
	rows.Vectors[0].AppendBool(true)
	rows.Vectors[1].AppendBytes([]byte("x"))
	got, err := rows.AppendKey([]byte("prefix"), 0)
	if want := "prefix\x01x\x01"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestANullIdentifiesNoRow(t *testing.T) {
	rows := NewRows(&Schema{Columns: []Column{{Name: "a", Type: Type{Kind: Long}}}, Key: []int{0}})
	rows.Vectors[0].AppendNull()
	if _, err := rows.AppendKey(nil, 0); !errors.Is(err, ErrNullKey) {
		t.Errorf("got %v, want %v", err, ErrNullKey)
	}
}

func TestKeysAreReadBack(t *testing.T) {
	s := &Schema{}
	for i, c := range testSchema().Columns {
		s.Columns = append(s.Columns, c)
		if c.Type.Kind != Float && c.Type.Kind != Double && c.Type.Kind < Struct {
			s.Key = append([]int{i}, s.Key...)
		}
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		rows := NewRows(s)
		appendRandomRow(r, rows)
		rows.End()
		key, err := rows.AppendKey(nil, 0)
		if err != nil { // A null.
			continue
		}
		back, err := s.ReadKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range s.Key {
			if got, want := string(back.Vectors[i].AppendText(nil, 0)), string(rows.Vectors[c].AppendText(nil, 0)); got != want {
				t.Errorf("seed %d: column %s: got %s, want %s", seed, s.Columns[c].Name, got, want)
			}
		}
		for _, bad := range [][]byte{key[:len(key)-1], append(key, 0), nil} {
			if _, err := s.ReadKey(bad); !errors.Is(err, ErrKey) {
				t.Errorf("seed %d: %d bytes of %d: got %v", seed, len(bad), len(key), err)
			}
		}
	}
}
