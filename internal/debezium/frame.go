package debezium

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
)

// Format is what the bytes of a record are.
type Format uint8

// The formats. A record of another one is refused, and told what it looks like.
const (
	FormatDefault Format = iota // JSON; of keys: the format of values.
	JSON                        // JsonConverter's, with or without schemas.
	AvroConfluent               // Avro behind an id or GUID of Confluent's registry, or with that in a header.
	AvroGlue                    // Avro behind the version of a schema in AWS Glue's registry, plain or zlib.
	ByFraming                   // What each record looks like, for looking into records of unknown origin.
)

// format returns the format of keys or values.
func (o *Options) format(key bool) Format {
	switch {
	case key && o.KeyFormat != FormatDefault:
		return o.KeyFormat
	case o.Format != FormatDefault:
		return o.Format
	}
	return JSON
}

// RefKind says what a SchemaRef refers by.
type RefKind uint8

// The kinds of references.
const (
	ConfluentID   RefKind = iota + 1
	ConfluentGUID         // Of a registry that gives each schema a UUID as well.
	GlueVersion           // The id of a schema version, a UUID.
)

// A SchemaRef names a writer's schema in a registry, where it never changes.
type SchemaRef struct {
	Kind RefKind
	ID   uint32   // Of ConfluentID.
	UUID [16]byte // Of all others.
}

// Text returns the id as registries write it: a number or a UUID.
func (r SchemaRef) Text() string {
	if r.Kind == ConfluentID {
		return strconv.FormatUint(uint64(r.ID), 10)
	}
	h := hex.EncodeToString(r.UUID[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// String says what is meant, for errors.
func (r SchemaRef) String() string {
	switch r.Kind {
	case ConfluentGUID:
		return "schema GUID " + r.Text()
	case GlueVersion:
		return "Glue schema version " + r.Text()
	case ConfluentID:
	}
	return "schema id " + r.Text()
}

// The headers in which Confluent's HeaderSchemaIdSerializer puts the frame.
const (
	keySchemaHeader   = "__key_schema_id"
	valueSchemaHeader = "__value_schema_id"
)

// A frame is what precedes an Avro body.
type frame struct {
	json bool // There is none: the text is JSON.
	ref  SchemaRef
	body []byte

	zlib   bool // The body is compressed.
	header bool // The frame stands in a header.
}

// framed reads the frame of a key or a value: the record's header goes before its first bytes.
func (d *Decoder) framed(text []byte, key bool) (frame, *Error) {
	format := d.o.format(key)
	if format == JSON {
		return frame{json: true}, nil
	}
	if format != AvroGlue {
		name := valueSchemaHeader
		if key {
			name = keySchemaHeader
		}
		if header := d.record.header("", name); header != nil {
			f, err := confluentFrame(header)
			if err == nil && len(f.body) > 0 {
				err = errorf(ShortFrame, "the header %s has %d bytes too many", name, len(f.body))
			}
			f.body, f.header = text, true
			return f, err
		}
	}
	switch {
	case len(text) == 0:
		return frame{}, errorf(ShortFrame, "the record is empty, where a frame is due")
	case text[0] <= 1 && format != AvroGlue:
		return confluentFrame(text)
	case text[0] == 3 && format != AvroConfluent:
		return glueFrame(text)
	case format == ByFraming && looksLikeJSON(text):
		return frame{json: true}, nil
	}
	return frame{}, errorf(UnknownMagic, "the record begins with the byte %#x%s", text[0], misplaced(text))
}

// misplaced says what a record in another format than the configured one looks like, and what to do.
func misplaced(text []byte) string {
	const remedy = ": set the table's format, and the registry"
	if looksLikeJSON(text) {
		return `, as JSON does, where a registry's frame is due: set the table's format or key_format to "json"`
	}
	if framing := framing(text); framing != "" {
		return ", which is " + framing + remedy
	}
	return ", which is no registry's frame"
}

func looksLikeJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{' || bytes.Equal(bytes.TrimRight(text, " \t\r\n"), []byte("null"))
}

// confluentFrame reads magic 0 with a schema id, or magic 1 with a GUID.
func confluentFrame(text []byte) (frame, *Error) {
	switch {
	case len(text) > 0 && text[0] > 1:
		return frame{}, errorf(UnknownMagic, "a header that begins with the byte %#x", text[0])
	case len(text) >= 5 && text[0] == 0:
		return frame{ref: SchemaRef{Kind: ConfluentID, ID: binary.BigEndian.Uint32(text[1:])}, body: text[5:]}, nil
	case len(text) >= 17 && text[0] == 1:
		return frame{ref: SchemaRef{Kind: ConfluentGUID, UUID: [16]byte(text[1:17])}, body: text[17:]}, nil
	}
	return frame{}, errorf(ShortFrame, "a Confluent frame of %d bytes", len(text))
}

// glueFrame reads magic 3, the compression and the id of the schema's version.
func glueFrame(text []byte) (frame, *Error) {
	if len(text) < 18 {
		return frame{}, errorf(ShortFrame, "an AWS Glue frame of %d bytes", len(text))
	}
	if text[1] != 0 && text[1] != 5 {
		return frame{}, errorf(UnknownMagic, "an AWS Glue frame with the compression %#x", text[1])
	}
	return frame{ref: SchemaRef{Kind: GlueVersion, UUID: [16]byte(text[2:18])}, body: text[18:], zlib: text[1] == 5}, nil
}

// framing names the registry's frame that text begins with, for errors: a topic in another format than was configured.
func framing(text []byte) string {
	switch {
	case len(text) >= 5 && text[0] == 0:
		return "a Confluent frame with a schema id"
	case len(text) >= 17 && text[0] == 1:
		return "a Confluent frame with a schema GUID"
	case len(text) >= 18 && text[0] == 3 && (text[1] == 0 || text[1] == 5):
		return "an AWS Glue frame"
	}
	return ""
}

// framing is framing, or says that the frame is in the record's headers.
func (r *Record) framing(text []byte) string {
	if r.header("", valueSchemaHeader) != nil || r.header("", keySchemaHeader) != nil {
		return "an Avro body whose schema id is in the record's headers"
	}
	return framing(text)
}

// An inflater decompresses bodies, and keeps the memory of the last one if it is no more than usual.
type inflater struct {
	in  bytes.Reader
	z   io.ReadCloser
	out []byte
}

// inflatedUsual is how much memory is kept from one record to the next.
const inflatedUsual = 1 << 20

// inflate decompresses text, to no more than limit bytes: a few bytes can stand for any number of them (I11).
func (x *inflater) inflate(text []byte, limit int) ([]byte, *Error) {
	x.in.Reset(text)
	var err error
	if x.z == nil {
		x.z, err = zlib.NewReader(&x.in)
	} else {
		err = x.z.(zlib.Resetter).Reset(&x.in, nil)
	}
	if err != nil {
		return nil, errorf(ShortBody, "the compressed body: %v", err)
	}
	if cap(x.out) > inflatedUsual {
		x.out = nil
	}
	x.out = x.out[:0]
	for {
		x.out = slices.Grow(x.out, max(512, min(len(x.out), limit+1-len(x.out))))
		n, err := x.z.Read(x.out[len(x.out):min(cap(x.out), limit+1)])
		x.out = x.out[:len(x.out)+n]
		switch {
		case len(x.out) > limit:
			return nil, errorf(TooLarge, "a compressed body of more than %d bytes", limit)
		case err == io.EOF && x.in.Len() > 0:
			return nil, errorf(ShortBody, "%d bytes after the end of the compressed body", x.in.Len())
		case err == io.EOF:
			return x.out, nil
		case err != nil:
			return nil, errorf(ShortBody, "the compressed body: %v", err)
		}
	}
}
