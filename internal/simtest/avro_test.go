package simtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topicAvro = "s.avro"

	// The ids of schemas: of keys, and of the first version of values. Each next version adds a column, and has the next id.
	avroKeyID, avroValueID = 7, 8
	avroVersions           = 3
	avroUnknownID          = 99 // The registry does not know it.
)

// avroColumns are those of a version: name, type, and whether it is optional.
func avroColumns(version int) [][2]string {
	return [][2]string{{"id", "int"}, {"name", "string"}, {"doc", "string"}, {"note", "string"}, {"qty", "long"}}[:3+version]
}

// schemaText returns a schema as the registry knows it.
func schemaText(id int) (text string, known bool) {
	version := id - avroValueID
	switch {
	case id == avroKeyID:
		return `{"type":"record","name":"Key","namespace":"s.avro","fields":[{"name":"id","type":"int"}],"connect.name":"s.avro.Key"}`, true
	case version < 0 || version >= avroVersions:
		return "", false
	}
	var fields []string
	for i, c := range avroColumns(version) {
		if i == 0 {
			fields = append(fields, fmt.Sprintf(`{"name":%q,"type":%q}`, c[0], c[1]))
			continue
		}
		fields = append(fields, fmt.Sprintf(`{"name":%q,"type":["null",%q],"default":null}`, c[0], c[1]))
	}
	return `{"type":"record","name":"Envelope","namespace":"s.avro","fields":[{"name":"before","type":["null",{"type":"record","name":"Value","fields":[` +
		strings.Join(fields, ",") + `],"connect.name":"s.avro.Value"}],"default":null},` +
		`{"name":"after","type":["null","Value"],"default":null},{"name":"op","type":"string"}],"connect.name":"s.avro.Envelope"}`, true
}

// changeAvro changes the table whose records are Avro: an insert, an update, a delete with its tombstone, or a change of the key.
func (d *database) changeAvro() []event {
	if d.writer+1 < avroVersions && d.rng.IntN(50) == 0 {
		d.writer++
	}
	id := int(d.zipf.Uint64())
	old, known := d.avro[id]
	switch n := d.rng.IntN(40); {
	case n == 0:
		return []event{d.putAvro(700+d.rng.IntN(20), d.newRow(), true)}
	case !known:
		d.avro[id] = d.newRow()
		return []event{d.putAvro(id, d.avro[id], false)}
	case n < 6:
		delete(d.avro, id)
		return d.removeAvro(id, old)
	case n < 9:
		to := 1000 + d.rng.IntN(1_000_000)
		delete(d.avro, id)
		d.avro[to] = old
		pair := append(d.removeAvro(id, old), d.putAvro(to, old, n == 6)) // Nobody knows what the other partition had when the key changed.
		pair[2].headers = []kgo.RecordHeader{{Key: oldKeyHeader, Value: []byte(keyAvro(id))}}
		return pair
	}
	row, keeps := d.changed(old)
	d.avro[id] = row
	return []event{d.putAvro(id, row, keeps)}
}

func (d *database) putAvro(id int, r sourceRow, keeps bool) event {
	if keeps {
		r.doc = unavailable
	}
	return event{topic: topicAvro, key: keyAvro(id), value: d.envelope(append([]byte{0, 2}, d.imageAvro(id, r)...), d.op())}
}

func (d *database) removeAvro(id int, old sourceRow) []event {
	old.doc = unavailable
	value := d.envelope(append(append([]byte{2}, d.imageAvro(id, old)...), 0), "d")
	return []event{{topic: topicAvro, key: keyAvro(id), value: value}, {topic: topicAvro, key: keyAvro(id)}}
}

func keyAvro(id int) string { return framed(avroKeyID, binary.AppendVarint(nil, int64(id))) }

// envelope is an envelope of two images in the present schema.
func (d *database) envelope(images []byte, op string) string {
	return framed(avroValueID+d.writer, appendText(images, op))
}

// imageAvro is a row in the present schema.
func (d *database) imageAvro(id int, r sourceRow) []byte {
	b := binary.AppendVarint(nil, int64(id))
	b = appendText(append(b, 2), r.name)
	b = appendText(append(b, 2), r.doc)
	if d.writer > 0 {
		b = appendText(append(b, 2), fmt.Sprint("note ", d.rng.IntN(100)))
	}
	switch {
	case d.writer > 1 && d.rng.IntN(3) == 0:
		b = append(b, 0)
	case d.writer > 1:
		b = binary.AppendVarint(append(b, 2), d.rng.Int64())
	}
	return b
}

func framed(id int, body []byte) string {
	return string(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), body...))
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendVarint(b, int64(len(text))), text...)
}

// avroReader reads what this file writes; it shares no code with what the oracle judges.
type avroReader struct {
	rest []byte
	cut  bool // Something was missing.
}

var errCut = errors.New("an Avro body that is too short, or too long")

func (r *avroReader) number() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.cut, n = true, len(r.rest)
	}
	r.rest = r.rest[n:]
	return v
}

func (r *avroReader) text() string {
	n := r.number()
	if n < 0 || n > int64(len(r.rest)) {
		r.cut, n = true, 0
	}
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

// image reads a row, or null.
func (r *avroReader) image(version int) rowText {
	if r.number() == 0 {
		return nil
	}
	row := rowText{}
	for i, c := range avroColumns(version) {
		switch {
		case i > 0 && r.number() == 0:
			row[c[0]] = null
		case c[1] == "string":
			row[c[0]] = r.text()
		default:
			row[c[0]] = fmt.Sprint(r.number())
		}
	}
	return row
}

// parseAvro takes a record of s.avro apart.
func parseAvro(r *kgo.Record, l *logged) error {
	key := avroReader{rest: r.Key[5:]}
	l.key, l.names = "id="+fmt.Sprint(key.number()), []string{"id"}
	if r.Value == nil {
		return nil
	}
	value := avroReader{rest: r.Value[5:]}
	version := int(binary.BigEndian.Uint32(r.Value[1:])) - avroValueID
	value.image(version)
	l.row = value.image(version)
	if op := value.text(); (op == "d") != (l.row == nil) || key.cut || value.cut || len(value.rest) > 0 {
		return errCut
	}
	return nil
}
