package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// arriveAs returns the source's rows as records of a form have them. With a schema nothing is different. Without one, the JSON is
// what there is, in a column of the declared type: see "What does not arrive as it is" in README.md.
func (r rows) arriveAs(f form, types map[string]string) (rows, error) {
	if f != plain {
		return r, nil
	}
	out := rows{columns: r.columns, types: r.types}
	for _, row := range r.rows {
		row = slices.Clone(row)
		for i, name := range r.columns {
			if row[i] == nil {
				continue
			}
			text, err := withoutSchema(r.types[i], types[name], *row[i])
			if err != nil {
				return rows{}, fmt.Errorf("%s: %w", name, err)
			}
			row[i] = &text
		}
		out.rows = append(out.rows, row)
	}
	return out, nil
}

func withoutSchema(t sourceType, declared, text string) (string, error) {
	switch {
	case t.name == "datetime" && declared == "long": // Nothing tells the unit: milliseconds up to DATETIME(3), else microseconds.
		at, err := time.Parse("2006-01-02 15:04:05.000000", text)
		if t.digits <= 3 {
			return strconv.FormatInt(at.UnixMilli(), 10), err
		}
		return strconv.FormatInt(at.UnixMicro(), 10), err
	case t.name == "bit" && declared == "binary": // Debezium's bytes, little endian.
		x, err := strconv.ParseUint(text, 10, 64)
		var b []byte
		for range (t.bits + 7) / 8 {
			b = append(b, byte(x))
			x >>= 8
		}
		return "hex:" + hex.EncodeToString(b), err
	case t.name == "decimal" && declared == "": // Base64 of the unscaled value.
		x, ok := new(big.Int).SetString(strings.Replace(text, ".", "", 1), 10)
		if !ok {
			return "", fmt.Errorf("%q is no decimal", text)
		}
		return base64.StdEncoding.EncodeToString(twosComplement(x)), nil
	}
	return text, nil
}

// twosComplement returns the shortest big-endian bytes of x, as Java's BigInteger.toByteArray does.
func twosComplement(x *big.Int) []byte {
	n := x.BitLen()/8 + 1
	if x.Sign() < 0 {
		n = new(big.Int).Not(x).BitLen()/8 + 1
		x = new(big.Int).Add(x, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	}
	return x.FillBytes(make([]byte, n))
}

// readGeometries puts geometries that were stored as JSON text, for want of a schema, into canonical text.
func (r rows) readGeometries(source rows) error {
	for i, name := range r.columns {
		at := slices.Index(source.columns, name)
		if at < 0 || !source.types[at].isGeometry() {
			continue
		}
		for _, row := range r.rows {
			if row[i] == nil || !strings.HasPrefix(*row[i], "{") {
				continue
			}
			var g struct {
				WKB  []byte
				SRID *int64
			}
			if err := json.Unmarshal([]byte(*row[i]), &g); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			row[i] = new(geometryText(g.WKB, g.SRID))
		}
	}
	return nil
}

// geometryText is canonical text of a geometry. Debezium sends no SRID for 0.
func geometryText(wkb []byte, srid *int64) string {
	n := int64(0)
	if srid != nil {
		n = *srid
	}
	return fmt.Sprintf("SRID=%d;hex:%x", n, wkb)
}
