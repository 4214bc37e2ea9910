package row

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// appendRandom appends a value or a null, and returns its text.
func appendRandom(r *rand.Rand, v *Vector) string {
	x := r.Int64() >> r.IntN(64)
	switch {
	case r.IntN(4) == 0:
		v.AppendNull()
	case v.Type.Kind == Boolean:
		v.AppendBool(x&1 == 1)
	case v.Type.Kind == Int, v.Type.Kind == Date:
		v.AppendInt32(int32(x))
	case v.Type.Kind == Long, v.Type.Kind == Timestamp, v.Type.Kind == TimestampTZ, v.Type.Kind == Time:
		v.AppendInt64(x)
	case v.Type.Kind == Float:
		v.AppendFloat32(float32(x))
	case v.Type.Kind == Double:
		v.AppendFloat64(float64(x))
	case v.Type.Kind == Decimal:
		v.AppendDecimal(Decimal128{Lo: uint64(x), Hi: x >> 63})
	case v.Type.Kind == Struct:
		for i := range v.Children {
			appendRandom(r, &v.Children[i])
		}
		v.EndStruct()
	case v.Type.Kind == List:
		for range r.IntN(4) {
			appendRandom(r, &v.Children[0])
		}
		v.EndList()
	case r.IntN(2) == 0:
		v.AppendBytes(fmt.Append(nil, x))
	default:
		v.Bytes = fmt.Append(v.Bytes, x)
		v.EndBytes()
	}
	return string(v.AppendText(nil, v.Len()-1))
}

func appendRandomRow(r *rand.Rand, rows *Rows) string {
	var text strings.Builder
	for i := range rows.Vectors {
		text.WriteString(appendRandom(r, &rows.Vectors[i]) + "|")
	}
	return text.String()
}

func rowTexts(rows *Rows) []string {
	texts := []string{}
	for i := range rows.Len() {
		var text []byte
		for c := range rows.Vectors {
			text = append(rows.Vectors[c].AppendText(text, i), '|')
		}
		texts = append(texts, string(text))
	}
	return texts
}

func nullsOf(v *Vector) int {
	nulls := 0
	for i := range v.Len() {
		if v.IsNull(i) {
			nulls++
		}
	}
	return nulls
}

// Rows behave like a list of texts under any sequence of appending, dropping, truncating and gathering.
func TestRowsBehaveLikeAList(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		rows, want := NewRows(testSchema()), []string{}
		for range 200 {
			switch r.IntN(12) {
			case 0:
				rows.Vectors[0].AppendNull() // Started, and only half of it.
				rows.Vectors[9].Bytes = append(rows.Vectors[9].Bytes, "half"...)
				rows.Vectors[12].Children[0].AppendBytes([]byte("half a struct"))
				rows.Vectors[13].Children[0].AppendBytes([]byte("half a list"))
				rows.Drop()
			case 1:
				appendRandomRow(r, rows)
				rows.Drop()
			case 2:
				n := r.IntN(rows.Len() + 1)
				rows.Truncate(n)
				want = want[:n]
			case 3:
				if r.IntN(10) == 0 {
					rows.Reset()
					want = want[:0]
				}
			case 4:
				rows, want = gather(r, rows, want)
			default:
				want = append(want, appendRandomRow(r, rows))
				rows.End()
			}
			if rows.Len() != len(want) {
				t.Fatalf("seed %d: got %d rows, want %d", seed, rows.Len(), len(want))
			}
		}
		if diff := cmp.Diff(want, rowTexts(rows)); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
		for i := range rows.Vectors {
			if got, want := rows.Vectors[i].Nulls(), nullsOf(&rows.Vectors[i]); got != want {
				t.Fatalf("seed %d: column %d: got %d nulls, want %d", seed, i, got, want)
			}
		}
	}
}

// gather appends random rows of rows to other rows.
func gather(r *rand.Rand, rows *Rows, texts []string) (*Rows, []string) {
	if rows.Len() == 0 {
		return rows, texts
	}
	var indexes []int32
	want := []string{}
	for range r.IntN(2 * rows.Len()) {
		i := r.IntN(rows.Len())
		indexes = append(indexes, int32(i))
		want = append(want, texts[i])
	}
	gathered := NewRows(rows.Schema)
	gathered.AppendFrom(rows, indexes)
	return gathered, want
}

// Arrow reads the bits after the last value as absent: a vector must not leave any behind.
func TestTruncateClearsTheBitsBehindTheEnd(t *testing.T) {
	v := NewVector(Type{Kind: Boolean})
	for range 13 {
		v.AppendBool(true)
	}
	v.Truncate(10)
	if v.Validity[1] != 3 || v.Bits[1] != 3 {
		t.Errorf("got validity %08b and bits %08b, want two bits each", v.Validity[1], v.Bits[1])
	}
	v.AppendNull()
	if !v.IsNull(10) || v.Bool(10) {
		t.Error("an appended null shows the truncated value")
	}
}

func TestBytesCountsAllBuffers(t *testing.T) {
	s := &Schema{Columns: []Column{{Name: "a", Type: Type{Kind: Long}}, {Name: "b", Type: Type{Kind: String}}}}
	rows := NewRows(s)
	before := rows.Bytes()
	rows.Vectors[0].AppendInt64(1)
	rows.Vectors[1].AppendBytes([]byte("12345"))
	rows.End()
	if got, want := rows.Bytes()-before, 1+8+1+4+5; got != want {
		t.Errorf("got %d bytes more, want %d", got, want)
	}
}

func TestEndRefusesARowWithoutAllValues(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	rows := NewRows(testSchema())
	rows.Vectors[0].AppendBool(true)
	rows.End()
}

func TestTextIsCanonical(t *testing.T) {
	for _, tc := range []struct {
		typ    Type
		append func(v *Vector)
		want   string
	}{
		{Type{Kind: Boolean}, func(v *Vector) { v.AppendBool(true) }, "true"},
		{Type{Kind: Date}, func(v *Vector) { v.AppendInt32(-354285) }, "1000-01-01"},
		{Type{Kind: Timestamp}, func(v *Vector) { v.AppendInt64(-1) }, "1969-12-31T23:59:59.999999"},
		{Type{Kind: TimestampTZ}, func(v *Vector) { v.AppendInt64(0) }, "1970-01-01T00:00:00.000000Z"},
		{Type{Kind: Decimal, Precision: 38}, func(v *Vector) { v.AppendDecimal(Decimal128{Lo: math.MaxUint64, Hi: -1}) }, "-1"},
		{Type{Kind: Decimal, Precision: 4, Scale: 3}, func(v *Vector) { v.AppendDecimal(Decimal128{Lo: 7}) }, "0.007"},
		{Type{Kind: Decimal, Precision: 38, Scale: 1}, func(v *Vector) { v.AppendDecimal(Decimal128{Hi: 1}) }, "1844674407370955161.6"},
		{Type{Kind: Float}, func(v *Vector) { v.AppendFloat32(0.1) }, "0.1"},
		{Type{Kind: Binary}, func(v *Vector) { v.AppendBytes([]byte{0, 0xff}) }, "hex:00ff"},
		{Type{Kind: String}, func(v *Vector) { v.AppendBytes(nil) }, ""},
		{Type{Kind: String}, func(v *Vector) { v.AppendNull() }, "null"},
		{Type{Kind: Time}, func(v *Vector) { v.AppendInt64(86_399_999_999) }, "23:59:59.999999"},
		{parsed(t, "list<float>"), func(v *Vector) {
			v.Children[0].AppendFloat32(1.5)
			v.Children[0].AppendNull()
			v.EndList()
		}, `["1.5",null]`},
		{parsed(t, "list<float>"), func(v *Vector) { v.EndList() }, `[]`},
		{parsed(t, "struct<wkb: binary, s: string>"), func(v *Vector) {
			v.Children[0].AppendBytes([]byte{1})
			v.Children[1].AppendBytes([]byte("\x00\"\\é"))
			v.EndStruct()
		}, `{"wkb":"hex:01","s":"\u0000\"\\é"}`},
		{parsed(t, "struct<a: int>"), func(v *Vector) { v.AppendNull() }, "null"},
	} {
		v := NewVector(tc.typ)
		tc.append(&v)
		if got := string(v.AppendText(nil, 0)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.typ, got, tc.want)
		}
	}
}

func parsed(t *testing.T, text string) Type {
	t.Helper()
	typ, err := ParseType(text)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}
