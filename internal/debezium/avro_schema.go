package debezium

import (
	"bytes"
	"strings"
)

// An avroParser reads the text of an Avro schema (Avro specification, "Schema Declaration") into the connectSchema tree that
// Confluent's AvroData and its like would make of it. The text comes from a registry and is hostile: the scanner's limits hold, and
// a schema that would be larger than it is written, by references or by recursion, is refused.
type avroParser struct {
	scanner
	names   map[string]*connectSchema // By full name; nil while the type is being defined.
	connect bool                      // Kafka Connect has described its types.
}

// sizeMax is how many nodes a schema may have, with all references followed: row images before and after, and more.
func (p *avroParser) sizeMax() int { return 16 * p.limits.Columns }

// parseAvro returns the schema of text. The types that earlier texts have defined may be referred to.
func (p *avroParser) parseAvro(text []byte) (*connectSchema, *Error) {
	if n, limit := len(text), p.limits.SchemaBytes; n > limit {
		return nil, errorf(TooLarge, "a schema of %d bytes exceeds the limit of %d", n, limit)
	}
	p.reset(text)
	if !p.valid() {
		return nil, p.err
	}
	c, ok := p.schema("")
	if !ok || !p.end() {
		return nil, p.err
	}
	return c, nil
}

// schema parses a schema: a name, a union or an object.
func (p *avroParser) schema(namespace string) (*connectSchema, bool) {
	switch p.peek() {
	case '"':
		name, ok := p.schemaText()
		if !ok {
			return nil, false
		}
		return p.named(name, namespace)
	case '[':
		return p.union(namespace)
	}
	return p.object(namespace)
}

// named returns the type that a name stands for: a primitive one, or one that was defined before.
func (p *avroParser) named(name, namespace string) (*connectSchema, bool) {
	if kind, literal := avroPrimitive(name); kind != 0 {
		return &connectSchema{literal: literal, size: 1, wire: avroValue{typ: &avroType{kind: kind}}}, true
	}
	full := name
	if !strings.Contains(name, ".") && namespace != "" {
		full = namespace + "." + name
	}
	c, ok := p.names[full]
	if !ok {
		c, ok = p.names[name]
	}
	switch {
	case !ok:
		return nil, p.fail(SchemaMismatch, "the type %.100q is not defined", name)
	case c == nil:
		return nil, p.fail(SchemaMismatch, "the type %.100q contains itself", name)
	}
	same := *c
	return &same, true
}

// avroPrimitive returns the kind of a primitive type and Kafka Connect's name of it.
func avroPrimitive(name string) (avroKind, string) {
	switch name {
	case "null":
		return avroNull, "null"
	case "boolean":
		return avroBoolean, "boolean"
	case "int":
		return avroInt, "int32"
	case "long":
		return avroLong, "int64"
	case "float":
		return avroFloat, "float"
	case "double":
		return avroDouble, "double"
	case "bytes":
		return avroBytes, "bytes"
	case "string":
		return avroString, "string"
	}
	return 0, ""
}

// union parses a union. One of null and another type is that type, optional, whichever comes first. Kafka Connect knows no other
// unions but those of one type; a column of such a type is refused.
func (p *avroParser) union(namespace string) (*connectSchema, bool) {
	var branches []avroValue
	var only *connectSchema
	null, all := int64(none), &connectSchema{literal: "union", size: 1}
	ok := p.elements(func() bool {
		if p.peek() == '[' {
			return p.fail(SchemaMismatch, "a union in a union")
		}
		c, ok := p.schema(namespace)
		if !ok {
			return false
		}
		if c.wire.typ.kind == avroNull {
			if null != none {
				return p.fail(SchemaMismatch, "a union with two nulls")
			}
			null = int64(len(branches))
		} else {
			only = c
		}
		branches = append(branches, c.wire)
		return c.wire.typ.kind == avroNull || p.contains(all, c)
	})
	switch {
	case !ok:
		return nil, false
	case len(branches) == 0:
		return nil, p.fail(SchemaMismatch, "a union without a type")
	case len(branches) > 2 || len(branches) == 2 && null == none:
		all.optional, all.wire.typ = null != none, &avroType{kind: avroUnion, branches: branches}
		return all, true
	case only == nil:
		only = &connectSchema{literal: "null", size: 1, wire: avroValue{typ: &avroType{kind: avroNull}}}
	}
	only.optional = null != none
	only.wire = avroValue{typ: only.wire.typ, union: true, null: null, branches: int64(len(branches))}
	return only, true
}

// elements is the scanner's, for arrays within the limits.
func (p *avroParser) elements(visit func() bool) bool {
	n := 0
	return p.scanner.elements(func() bool {
		if n++; n > p.limits.Columns+addedMembers {
			return p.fail(TooLarge, "an array of more than %d elements", p.limits.Columns)
		}
		return visit()
	})
}

// avroAttributes are the attributes of a schema object. Those that hold schemas are places in the text: they can be parsed only when
// the object's name is known, which may come after them.
type avroAttributes struct {
	typeAt, fields, items, values, symbols int // 0: absent.
	name, namespace                        string
	logical, connectName, connectType      string
	parameters                             map[string]string
	size, precision, scale                 int64 // none: absent.
}

func (p *avroParser) attributes() (a avroAttributes, ok bool) {
	a.size, a.precision, a.scale = none, none, none
	ok = p.members(func(name []byte) (ok bool) {
		p.connect = p.connect || bytes.HasPrefix(name, []byte("connect."))
		place := func(at *int) bool { p.peek(); *at = p.pos; return p.skip() }
		switch string(name) {
		case "type":
			return place(&a.typeAt)
		case "fields":
			return place(&a.fields)
		case "items":
			return place(&a.items)
		case "values":
			return place(&a.values)
		case "symbols":
			return place(&a.symbols)
		case "name":
			a.name, ok = p.schemaText()
		case "namespace":
			a.namespace, ok = p.schemaText()
		case "logicalType":
			a.logical, ok = p.anyText()
		case "connect.name":
			a.connectName, ok = p.schemaText()
		case "connect.type":
			a.connectType, ok = p.schemaText()
		case "connect.parameters":
			a.parameters, ok = p.parameters()
		case "size":
			a.size, ok = p.small()
		case "precision":
			a.precision, ok = p.small()
		case "scale":
			a.scale, ok = p.small()
		default:
			ok = p.skip()
		}
		return ok
	})
	return a, ok
}

// anyText reads a string, or passes over what is none: such an attribute means nothing.
func (p *avroParser) anyText() (string, bool) {
	if p.peek() != '"' {
		return "", p.skip()
	}
	return p.schemaText()
}

// small reads a number that is not negative, or passes over what is none.
func (p *avroParser) small() (int64, bool) {
	if c := p.peek(); c-'0' > 9 {
		return none, p.skip()
	}
	token, integer, ok := p.number()
	if !ok {
		return none, false
	}
	if x, fits := parseInt64(token); integer && fits {
		return x, true
	}
	return none, true
}

// at parses the attribute at a place of the object that was just left, and comes back.
func (p *avroParser) at(place int, parse func() bool) bool {
	pos := p.pos
	p.pos = place
	p.depth++
	ok := parse()
	p.depth--
	p.pos = pos
	return ok
}
