package debezium

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// A keyForm is what surrounds the values in the bytes of a record key.
type keyForm struct {
	text   string
	prefix []byte    // Of JSON with its schema, and of Avro: all of it.
	pieces [][]byte  // Of JSON without: what stands before, between and after the values.
	header SchemaRef // Of Avro whose frame is in a header: what that says.
}

// keyFormsMax is how many forms are remembered: as many as embedded schemas.
const keyFormsMax = schemaCacheSize

// The forms of keys that are not taken apart.
const (
	textKey   = "text" // No JSON object, such as Connect's StringConverter makes.
	nestedKey = "json" // A JSON object in which not all values are scalars, which no converter makes of a key.
)

// KeyForm tells what surrounds the values in the bytes of the last record's key: a short text that is another one when, and only when,
// keys of the same values have other bytes. Kafka chooses a key's partition by them (I13). It is empty for no key, and for one
// that cannot be read.
func (d *Decoder) KeyForm() string {
	key := d.record.Key
	if key == nil {
		return ""
	}
	if len(d.record.Headers) > 0 && d.record.header("", keySchemaHeader) != nil {
		return d.learnForm(key)
	}
	for i, form := range d.forms {
		if form.matches(key) {
			if i > 0 {
				copy(d.forms[1:i+1], d.forms[:i])
				d.forms[0] = form
			}
			return form.text
		}
	}
	return d.learnForm(key)
}

// KeyFormOf is KeyForm of any record.
func (d *Decoder) KeyFormOf(r Record) string {
	d.record = r
	return d.KeyForm()
}

// matches reports whether a key has the form.
func (k *keyForm) matches(key []byte) bool {
	if len(k.pieces) == 0 {
		return len(k.prefix) > 0 && bytes.HasPrefix(key, k.prefix)
	}
	i, last := 0, len(k.pieces)-1
	for _, piece := range k.pieces[:last] {
		if !bytes.HasPrefix(key[i:], piece) {
			return false
		}
		i += len(piece)
		if i = valueEnd(key, i, piece[len(piece)-1] == '"'); i < 0 {
			return false
		}
	}
	return bytes.Equal(key[i:], k.pieces[last])
}

// learnForm works out the form of a key, and remembers it.
func (d *Decoder) learnForm(key []byte) string {
	f, refused := d.framed(key, true)
	if refused != nil {
		return ""
	}
	form := &keyForm{}
	switch {
	case f.header:
		if i := slices.IndexFunc(d.forms, func(k *keyForm) bool { return k.header == f.ref }); i >= 0 {
			return d.forms[i].text
		}
		form.header, form.text = f.ref, f.form()
	case !f.json:
		form.prefix, form.text = bytes.Clone(key[:len(key)-len(f.body)]), f.form()
	case bytes.Equal(bytes.Trim(key, " \t\r\n"), []byte("null")):
		return ""
	case !startsObject(key):
		return textKey
	default:
		key = bytes.Clone(key)
		if form.prefix = d.wrapping(key); form.prefix != nil {
			form.text = "schema:" + digest(form.prefix)
			break
		}
		if form.pieces = cutValues(key); form.pieces == nil {
			return nestedKey
		}
		form.text = "json:" + digest(form.pieces...)
	}
	d.forms = slices.Insert(d.forms, 0, form)
	if len(d.forms) > keyFormsMax {
		d.forms = d.forms[:keyFormsMax]
	}
	return form.text
}

// form returns the text of the form of a key with this frame.
func (f *frame) form() string {
	name := "confluent"
	switch {
	case f.zlib:
		name = "glue-zlib"
	case f.ref.Kind == GlueVersion:
		name = "glue"
	case f.header:
		name = "confluent-header" // The id is none of the key's bytes, but tells of what they are made.
	}
	return name + ":" + f.ref.Text()
}

// wrapping returns what precedes the payload of a key that carries its schema, or nil.
func (d *Decoder) wrapping(key []byte) []byte {
	s := newScanner(&d.o)
	s.reset(key)
	if s.peek() != '{' || !s.enter() || s.peek() != '"' {
		return nil
	}
	if name, ok := s.name(); !ok || string(name) != "schema" || s.peek() != '{' || !s.skip() || s.peek() != ',' {
		return nil
	}
	s.pos++
	if name, ok := s.name(); !ok || string(name) != "payload" {
		return nil
	}
	return key[:s.pos]
}

// cutValues cuts a JSON object into what surrounds its values, the quotes of strings included; nil: a value is no scalar.
func cutValues(key []byte) [][]byte {
	var pieces [][]byte
	start, value := 0, false // value: what comes is one.
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == '}' || c == '{' && !value:
		case c == ':':
			value = true
		case c == '"' && !value:
			if i = valueEnd(key, i+1, true); i < 0 {
				return nil
			}
		case value:
			from := i
			if c == '"' {
				from++
			}
			end := valueEnd(key, from, c == '"')
			if end < 0 {
				return nil
			}
			pieces = append(pieces, key[start:from])
			start, i, value = end, end-1, false
			if c == '"' {
				i++
			}
		default:
			return nil
		}
	}
	return append(pieces, key[start:])
}

// valueEnd returns where the value ends that begins at i: a string at its closing quote, and another scalar before what follows it. It
// returns -1 if there is none.
func valueEnd(key []byte, i int, text bool) int {
	if text {
		for i < len(key) {
			switch i = special(key, i); {
			case i >= len(key):
				return -1
			case key[i] == '"':
				return i
			case key[i] == '\\':
				i += 2
			default:
				i++
			}
		}
		return -1
	}
	if i >= len(key) || key[i] == '"' || key[i] == '{' || key[i] == '[' {
		return -1
	}
	for ; i < len(key); i++ {
		if c := key[i]; c == ',' || c == '}' || c <= ' ' {
			return i
		}
	}
	return -1
}

// digest is short, and the same for the same texts only.
func digest(texts ...[]byte) string {
	sum := sha256.Sum256(bytes.Join(texts, []byte{0}))
	return hex.EncodeToString(sum[:8])
}
