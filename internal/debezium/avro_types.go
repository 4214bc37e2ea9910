package debezium

import (
	"maps"
	"strconv"
)

// The names of Kafka Connect's own logical types.
const (
	connectDecimal   = "org.apache.kafka.connect.data.Decimal"
	connectDate      = "org.apache.kafka.connect.data.Date"
	connectTime      = "org.apache.kafka.connect.data.Time"
	connectTimestamp = "org.apache.kafka.connect.data.Timestamp"
)

// undefinedPrecision is the precision that AvroData writes where Connect's Decimal has none.
const undefinedPrecision = 64

// object parses a schema that is an object.
func (p *avroParser) object(namespace string) (*connectSchema, bool) {
	a, ok := p.attributes()
	if !ok {
		return nil, false
	}
	if a.typeAt == 0 {
		return nil, p.fail(SchemaMismatch, "a schema without a type")
	}
	var c *connectSchema
	ok = p.at(a.typeAt, func() (ok bool) {
		if p.peek() != '"' {
			c, ok = p.schema(namespace)
			return ok
		}
		name, ok := p.schemaText()
		if ok {
			c, ok = p.typed(name, namespace, &a)
		}
		return ok
	})
	if !ok {
		return nil, false
	}
	c.describe(&a)
	return c, true
}

// typed parses an object whose type is a name.
func (p *avroParser) typed(typ, namespace string, a *avroAttributes) (*connectSchema, bool) {
	switch typ {
	case "record", "error":
		return p.record(namespace, a)
	case "enum":
		return p.enum(namespace, a)
	case "fixed":
		return p.fixed(namespace, a)
	case "array":
		items, ok := p.inner(a.items, namespace)
		if !ok {
			return nil, false
		}
		c := &connectSchema{literal: "array", items: items, size: 1, wire: avroValue{typ: &avroType{kind: avroArray, items: items.wire}}}
		return c, p.contains(c, items)
	case "map":
		values, ok := p.inner(a.values, namespace)
		if !ok {
			return nil, false
		}
		c := &connectSchema{literal: "map", size: 1, wire: avroValue{typ: &avroType{kind: avroMap, items: values.wire}}}
		return c, p.contains(c, values)
	}
	return p.named(typ, namespace)
}

// inner parses the schema of an array's items or a map's values.
func (p *avroParser) inner(place int, namespace string) (c *connectSchema, ok bool) {
	if place == 0 {
		return nil, p.fail(SchemaMismatch, "an array without items, or a map without values")
	}
	ok = p.at(place, func() (ok bool) {
		c, ok = p.schema(namespace)
		return ok
	})
	return c, ok
}

// contains makes part a part of c, within the limits. A part that takes no bytes is refused: a body could have any number of them.
func (p *avroParser) contains(c, part *connectSchema) bool {
	c.size += part.size
	c.depth = max(c.depth, part.depth+1)
	switch w := &part.wire; {
	case c.size > p.sizeMax():
		return p.fail(TooLarge, "a schema of more than %d types, with its references followed", p.sizeMax())
	case c.depth > MaxDepth:
		return p.fail(TooLarge, "types nested deeper than %d, with their references followed", MaxDepth)
	case w.union:
	case w.typ.kind == avroNull, w.typ.kind == avroFixed && w.typ.size == 0, w.typ.kind == avroRecord && len(w.typ.fields) == 0:
		return p.fail(SchemaMismatch, "a type that takes no bytes")
	}
	return true
}

// failed fails, unless something has failed already.
func (p *avroParser) failed(format string, args ...any) bool {
	return p.err == nil && p.fail(SchemaMismatch, format, args...)
}

// describe applies what the attributes of an object say beyond its Avro type: what Kafka Connect's type was, or, of schemas that do
// not come from there, Avro's logical types.
func (c *connectSchema) describe(a *avroAttributes) {
	if c.literal == "int32" && (a.connectType == "int8" || a.connectType == "int16") {
		c.literal = a.connectType
	}
	if a.parameters != nil {
		c.parameters = a.parameters
	}
	if a.connectName != "" {
		c.name = a.connectName
	} else if name := logicalName(c.literal, a.logical); name != "" {
		c.name = name
	}
	if c.name == connectDecimal && c.literal == "bytes" {
		c.decimal(a)
	}
}

// decimal completes the parameters of Connect's Decimal from Avro's attributes.
func (c *connectSchema) decimal(a *avroAttributes) {
	parameters := maps.Clone(c.parameters)
	if parameters == nil {
		parameters = map[string]string{}
	}
	if _, ok := parameters["scale"]; !ok {
		parameters["scale"] = strconv.FormatInt(max(a.scale, 0), 10) // Avro's default is 0.
	}
	if _, ok := parameters["connect.decimal.precision"]; !ok && a.precision > 0 && a.precision != undefinedPrecision {
		parameters["connect.decimal.precision"] = strconv.FormatInt(a.precision, 10)
	}
	c.parameters = parameters
}

// logicalName returns the name that says in Kafka Connect what a logical type says in Avro. A timestamp is a wall clock in both of its
// forms: MySQL's instants arrive as text. What Avro or this list does not know means nothing (Avro specification, "Logical Types").
func logicalName(literal, logical string) string {
	switch literal + " " + logical {
	case "bytes decimal":
		return connectDecimal
	case "int32 date":
		return connectDate
	case "int32 time-millis":
		return connectTime
	case "int64 time-micros":
		return "io.debezium.time.MicroTime"
	case "int64 timestamp-millis", "int64 local-timestamp-millis":
		return connectTimestamp
	case "int64 timestamp-micros", "int64 local-timestamp-micros":
		return "io.debezium.time.MicroTimestamp"
	case "int64 timestamp-nanos", "int64 local-timestamp-nanos":
		return "io.debezium.time.NanoTimestamp"
	case "string uuid":
		return "io.debezium.data.Uuid"
	}
	return ""
}
