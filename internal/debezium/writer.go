package debezium

import "github.com/cdcd-project/cdcd/internal/row"

// SchemaNeeded is returned, as an error, for a record that names a schema which the decoder does not have. The record decodes after the
// caller has asked the registry and called AddSchema or RefuseSchema.
type SchemaNeeded struct { //nolint:errname // It asks for a schema more than it reports an error.
	Ref    SchemaRef
	ForKey bool // The record's key names it.
}

// Error implements error.
func (n *SchemaNeeded) Error() string { return "schema needed: " + n.Ref.String() }

// A WriterSchema is what a registry knows of a schema.
type WriterSchema struct {
	Type       string // "AVRO", "PROTOBUF" or "JSON", as both registries spell them; empty: Avro.
	Text       string
	References []string // The texts of the schemas whose types it refers to, each after those that it needs itself.
}

type writerKey struct {
	ref SchemaRef
	key bool
}

// A writer is a schema that records were written with, or why there is none.
type writer struct {
	schema *embedded
	err    *Error
	once   bool // Forget it after its first use.
}

// writers are the schemas of Avro records.
type writers map[writerKey]*writer

// writersMax is how many schemas are remembered. Should there be more, all are asked for again.
const writersMax = 256

func (w writers) add(k writerKey, x *writer) {
	if len(w) >= writersMax {
		clear(w)
	}
	w[k] = x
}

// AddSchema tells the decoder a schema that it needs. One that cannot be used refuses the records that name it.
func (d *Decoder) AddSchema(n *SchemaNeeded, w WriterSchema) {
	x := &writer{}
	if x.schema, x.err = d.parseWriter(w); x.err != nil {
		reason := SchemaMismatch
		if x.err.Reason == TooLarge {
			reason = TooLarge
		}
		x.err = errorf(reason, "%s: %s", n.Ref, x.err.Detail)
	}
	d.last = [2]*writer{}
	d.writers.add(writerKey{n.Ref, n.ForKey}, x)
}

// RefuseSchema tells the decoder that it cannot have a schema that it needs: UnknownSchema, or TooLarge. The record that needs it is
// refused for that reason; the next one asks again.
func (d *Decoder) RefuseSchema(n *SchemaNeeded, reason Reason, detail string) {
	d.last = [2]*writer{}
	d.writers.add(writerKey{n.Ref, n.ForKey}, &writer{err: errorf(reason, "%s: %s", n.Ref, detail), once: true})
}

func (d *Decoder) parseWriter(w WriterSchema) (*embedded, *Error) {
	if w.Type != "" && w.Type != "AVRO" {
		return nil, errorf(SchemaMismatch, "its type is %.20s: only Avro is supported; use Debezium with the Avro converter of the registry, or JsonConverter", w.Type)
	}
	p := &avroParser{scanner: newScanner(&d.o), names: map[string]*connectSchema{}}
	for _, text := range w.References {
		if _, err := p.parseAvro([]byte(text)); err != nil {
			return nil, err
		}
	}
	root, err := p.parseAvro([]byte(w.Text))
	if err != nil {
		return nil, err
	}
	if !p.connect && !d.o.PlainAvro {
		return nil, errorf(SchemaMismatch, "the schema has no connect.* attributes, without which nothing tells a date from a number: set connect.meta.data=true in the converter")
	}
	return &embedded{avro: true, root: root, shape: d.shapeOf(root)}, nil
}

// open starts to read text, the record's key or value, and stops in front of its payload: behind an embedded schema or a frame.
func (d *Decoder) open(c *schemaCache, text []byte, key bool) (*embedded, error) {
	d.avro = false
	f, refused := d.framed(text, key)
	if refused != nil {
		return nil, refused
	}
	if f.json {
		if e, ok := d.unwrap(c, text); ok {
			return e, nil
		}
		return nil, d.scan.err
	}
	k, part := writerKey{f.ref, key}, 0
	if key {
		part = 1
	}
	if d.last[part] == nil || d.lastKey[part] != k {
		d.last[part], d.lastKey[part] = d.writers[k], k
	}
	w := d.last[part]
	switch {
	case w == nil:
		return nil, &SchemaNeeded{Ref: f.ref, ForKey: key}
	case w.once:
		delete(d.writers, k)
		d.last[part] = nil
		return nil, w.err
	case w.err != nil:
		return nil, w.err
	}
	if f.zlib {
		if f.body, refused = d.inflated[part].inflate(f.body, d.scan.limits.RecordBytes); refused != nil {
			return nil, refused
		}
	}
	if !key {
		d.body = f.body
	}
	d.scan.reset(f.body)
	d.avro = true
	return w.schema, nil
}

// reopen starts to read the record's value once more, after its key.
func (d *Decoder) reopen() {
	d.avro = d.value != nil && d.value.avro
	if d.avro {
		d.scan.reset(d.body)
		return
	}
	d.scan.reset(d.record.Value)
}

// unopened says what becomes of a record key that could not be opened. Where identifier columns are configured, one that is not
// framed carries none.
func (d *Decoder) unopened(err error) error {
	refused, ok := err.(*Error) //nolint:errorlint // Ours, unwrapped.
	switch {
	case !ok || refused.Reason == UnknownSchema || refused.Reason == TooLarge:
		return err
	case refused.Reason == UnknownMagic && len(d.o.Key) > 0:
		return nil
	}
	d.scan.err = refused
	return d.keyError()
}

// openAvroKey looks at the key's schema, whose record is at pos.
func (d *Decoder) openAvroKey(e *embedded) (_ *embedded, told bool, err error) {
	s := &d.scan
	null, ok := s.isNull(&e.root.wire)
	switch {
	case !ok:
		return nil, false, d.keyError()
	case null && !d.finish():
		return nil, false, d.keyError()
	case null:
		return nil, false, d.nullKey()
	case e.root.isStruct():
		return e, true, nil
	case len(d.o.Key) > 0:
		return nil, false, nil
	}
	s.fail(NotAnObject, "the schema is %s, no record", e.root.kind())
	return nil, false, d.keyError()
}

// readAvro scans the record's value, of which the schema tells everything.
func (d *Decoder) readAvro(shape Shape, rows *row.Rows) error {
	s, root := &d.scan, d.value.root
	null, ok := s.isNull(&root.wire)
	switch {
	case !ok:
		return s.err
	case null && shape != Enveloped:
		return d.nullRow()
	case null:
		return errorf(NotAnObject, "a null, where an envelope is due")
	case !root.isStruct():
		return errorf(NotAnObject, "the schema is %s, no record", root.kind())
	case shape == Flattened:
		ok = d.avroFlattened(rows)
	default:
		image := root.member("after").isStruct() || root.member("before").isStruct()
		d.undecided = shape == Auto && !image && !root.member("source").isStruct()
		ok = d.avroEnvelope(rows)
	}
	if !ok || !d.finish() {
		return s.err
	}
	return nil
}
