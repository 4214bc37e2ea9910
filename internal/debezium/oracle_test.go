package debezium

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cdcd-project/cdcd/internal/row"
)

// A reading is what encoding/json finds in a record's text, without any of this package's code.
type reading struct {
	sound   bool // JSON in UTF-8, and no object has two members of one name.
	schema  any  // The embedded schema; nil: there is none.
	payload map[string]json.RawMessage
}

func readJSON(text []byte) (r reading) {
	if !json.Valid(text) || !utf8.Valid(text) || hasDuplicates(json.NewDecoder(bytes.NewReader(text))) {
		return r
	}
	r.sound = true
	r.payload = membersOf(text)
	schema, wrapped := r.payload["schema"]
	inner, both := r.payload["payload"]
	if wrapped && both && len(r.payload) == 2 {
		switch v := valueOf(schema).(type) {
		case map[string]any, nil:
			r.schema, r.payload = v, membersOf(inner)
		}
	}
	return r
}

// membersOf returns the members of an object with their raw values; nil: it is none.
func membersOf(text []byte) (members map[string]json.RawMessage) {
	if json.Unmarshal(text, &members) != nil {
		return nil
	}
	return members
}

func valueOf(text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	_ = d.Decode(&v)
	return v
}

// image returns the row image, and the schemas of its members by name.
func (r reading) image(flattened bool) (members map[string]json.RawMessage, schemas map[string]map[string]any) {
	members = r.payload
	root, _ := r.schema.(map[string]any)
	if !flattened {
		members = membersOf(r.payload["after"])
		if root != nil {
			fields := fieldsOf(root)
			if root = fields["after"]; root == nil {
				root = fields["before"]
			}
		}
	}
	if r.schema == nil {
		return members, nil
	}
	return members, fieldsOf(root)
}

func fieldsOf(schema map[string]any) map[string]map[string]any {
	out := map[string]map[string]any{}
	list, _ := schema["fields"].([]any)
	for _, f := range list {
		if f, ok := f.(map[string]any); ok {
			name, _ := f["field"].(string)
			out[name] = f
		}
	}
	return out
}

// An expectation is what a column has to hold for one JSON value, by docs/types.md.
type expectation struct {
	text   string // As row.Vector.AppendText prints it.
	null   bool
	known  bool // The oracle knows the type; otherwise nothing is expected.
	refuse bool // No row may come of it.
}

func holds(text string) expectation { return expectation{text: text, known: true} }
func refuses() expectation          { return expectation{known: true, refuse: true} }

// expect says what a value has to become in a column of type t. schema is that of the field; nil: there is none.
func expect(value json.RawMessage, schema map[string]any, typed bool, t row.Type) expectation {
	v := valueOf(value)
	if v == nil {
		if optional, _ := schema["optional"].(bool); typed && !optional {
			return refuses()
		}
		return expectation{null: true, known: true}
	}
	if !typed {
		return expectUntyped(value, v, t)
	}
	literal, _ := schema["type"].(string)
	name, _ := schema["name"].(string)
	parameters, _ := schema["parameters"].(map[string]any)
	switch literal + " " + name {
	case "boolean ", "int8 ", "int16 ", "int32 ", "int64 ":
		if t.Kind == row.Decimal || parameters != nil {
			return expectation{}
		}
		low, high := map[string]float64{"int8": 1 << 7, "int16": 1 << 15, "int32": 1 << 31}[literal], int64(math.MaxInt64)
		if low > 0 {
			high = int64(low) - 1
		}
		return expectInteger(v, t, high, true)
	case "float ", "double ":
		return expectFloat(v, t, literal == "float")
	case "string ", "string io.debezium.data.Enum", "string io.debezium.data.Json", "string io.debezium.data.EnumSet":
		s, ok := v.(string)
		if t.Kind != row.String || parameters != nil && name == "" {
			return expectation{}
		}
		if !ok {
			return refuses()
		}
		if name == "io.debezium.data.Enum" {
			s = strings.ReplaceAll(s, `\,`, ",")
		}
		return holds(s)
	case "bytes org.apache.kafka.connect.data.Decimal":
		if t.Kind != row.Decimal {
			return expectation{}
		}
		own, _ := parameters["scale"].(string)
		digits, _ := parameters["connect.decimal.precision"].(string)
		if own != strconv.Itoa(int(t.Scale)) || digits != strconv.Itoa(int(t.Precision)) {
			return expectation{}
		}
		return expectDecimal(v, t)
	case "int32 io.debezium.time.Date":
		return expectInteger(v, t, math.MaxInt32, false)
	case "int64 io.debezium.time.MicroTimestamp":
		return expectInstant(v, t, 1)
	case "int64 io.debezium.time.Timestamp":
		return expectInstant(v, t, 1000)
	case "string io.debezium.time.ZonedTimestamp":
		return expectText(v, t, true)
	}
	return expectation{}
}

func expectUntyped(value json.RawMessage, v any, t row.Type) expectation {
	switch t.Kind { //nolint:exhaustive // Of all others nothing is expected.
	case row.Boolean, row.Long:
		return expectInteger(v, t, math.MaxInt64, true)
	case row.Int:
		return expectInteger(v, t, math.MaxInt32, true)
	case row.Date:
		if _, ok := v.(json.Number); !ok {
			return expectation{}
		}
		return expectInteger(v, t, math.MaxInt32, false)
	case row.Double:
		return expectFloat(v, t, false)
	case row.String:
		switch v := v.(type) {
		case string:
			return holds(v)
		case map[string]any, []any:
			return holds(string(value))
		}
		return refuses()
	case row.Decimal:
		return expectUntypedDecimal(v, t)
	case row.TimestampTZ:
		return expectText(v, t, true)
	case row.Timestamp:
		n, ok := v.(json.Number)
		if !ok {
			return expectText(v, t, false)
		}
		x, err := strconv.ParseInt(n.String(), 10, 64)
		if year := time.UnixMilli(x).UTC().Year(); err == nil && x != 0 && (year >= 1000 && year <= 9999) {
			return refuses() // Milliseconds or microseconds: nothing tells.
		}
		if year := time.UnixMicro(x).UTC().Year(); err == nil && (year < 1000 || year > 9999) {
			return refuses()
		}
		return expectInstant(v, t, 1)
	}
	return expectation{}
}

var integerText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func expectInteger(v any, t row.Type, high int64, booleans bool) expectation {
	var x int64
	switch v := v.(type) {
	case bool:
		if !booleans {
			return refuses()
		}
		if v {
			x = 1
		}
	case json.Number:
		var err error
		x, err = strconv.ParseInt(v.String(), 10, 64)
		if !integerText.MatchString(v.String()) || err != nil || x > high || x < -high-1 {
			return refuses()
		}
	default:
		return refuses()
	}
	switch t.Kind { //nolint:exhaustive // Of all others nothing is expected.
	case row.Boolean:
		if x != 0 && x != 1 {
			return refuses()
		}
		return holds(strconv.FormatBool(x == 1))
	case row.Int, row.Long:
		if _, isBool := v.(bool); isBool && !booleans || t.Kind == row.Int && x != int64(int32(x)) {
			return refuses()
		}
		return holds(strconv.FormatInt(x, 10))
	case row.Date:
		return holds(time.Unix(0, 0).UTC().AddDate(0, 0, int(x)).Format(time.DateOnly))
	}
	return expectation{}
}

func expectFloat(v any, t row.Type, single bool) expectation {
	n, ok := v.(json.Number)
	if !ok {
		return refuses()
	}
	bits := 64
	if single {
		bits = 32
	}
	x, err := strconv.ParseFloat(n.String(), bits)
	switch {
	case err != nil:
		return refuses()
	case t.Kind == row.Double:
		return holds(strconv.FormatFloat(x, 'g', -1, 64))
	case t.Kind == row.Float && single:
		return holds(strconv.FormatFloat(x, 'g', -1, 32))
	}
	return expectation{}
}

func expectInstant(v any, t row.Type, unit int64) expectation {
	n, ok := v.(json.Number)
	if t.Kind != row.Timestamp {
		return expectation{}
	}
	x, err := strconv.ParseInt(n.String(), 10, 64)
	if !ok || !integerText.MatchString(n.String()) || err != nil || x*unit/unit != x {
		return refuses()
	}
	return holds(time.UnixMicro(x * unit).UTC().Format("2006-01-02T15:04:05.000000"))
}

var zoneText = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6}0{0,3})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// expectText reads a timestamp with a zone, or a wall clock, behind which a Z means nothing.
func expectText(v any, t row.Type, zoned bool) expectation {
	s, ok := v.(string)
	if !ok {
		return refuses()
	}
	if !zoned && !strings.HasSuffix(s, "Z") {
		s += "Z"
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	switch {
	case err != nil:
		return refuses()
	case !zoneText.MatchString(s) || !zoned && !strings.HasSuffix(s, "Z"):
		return expectation{}
	case t.Kind == row.TimestampTZ && zoned:
		return holds(at.UTC().Format("2006-01-02T15:04:05.000000Z"))
	case t.Kind == row.Timestamp && !zoned:
		return holds(at.UTC().Format("2006-01-02T15:04:05.000000"))
	}
	return expectation{}
}

// expectDecimal reads Connect's Decimal, whose scale is the column's.
func expectDecimal(v any, t row.Type) expectation {
	switch v := v.(type) {
	case string:
		raw, err := base64.StdEncoding.Strict().DecodeString(v)
		if err != nil || len(raw) == 0 || strings.ContainsAny(v, "\r\n") {
			return refuses()
		}
		x := new(big.Int).SetBytes(raw)
		if raw[0] >= 0x80 {
			x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
		}
		power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)
		return expectDigits(new(big.Rat).SetFrac(x, power), t)
	case json.Number:
		if _, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e"); len(exponent) > 4 {
			return expectation{}
		}
		x, _ := new(big.Rat).SetString(v.String())
		return expectDigits(x, t)
	}
	return refuses()
}

func expectDigits(x *big.Rat, t row.Type) expectation {
	unscaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)))
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Precision)), nil)
	if !unscaled.IsInt() || unscaled.Num().CmpAbs(limit) >= 0 {
		return refuses()
	}
	return holds(x.FloatString(int(t.Scale)))
}

var plainDecimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// expectUntypedDecimal reads a number, the text of one, or base64, where they can be told apart.
func expectUntypedDecimal(v any, t row.Type) expectation {
	s, ok := v.(string)
	if n, isNumber := v.(json.Number); isNumber && t.Precision == 20 && t.Scale == 0 && strings.HasPrefix(n.String(), "-") {
		return expectation{}
	}
	if !ok {
		return expectDecimal(v, t)
	}
	isDigits := s != "" && strings.Trim(s, "0123456789") == ""
	switch {
	case isDigits && len(s)%4 == 0 && t.Scale == 0:
		return refuses()
	case isDigits && len(s)%4 != 0, strings.ContainsAny(s, ".-"):
		x, ok := new(big.Rat).SetString(s)
		if !plainDecimal.MatchString(s) || !ok {
			return expectation{}
		}
		return expectDigits(x, t)
	}
	return expectDecimal(v, t)
}
