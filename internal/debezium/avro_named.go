package debezium

import "strings"

// define begins the definition of a named type and returns its full name and the namespace of what is inside of it.
func (p *avroParser) define(namespace string, a *avroAttributes) (full, inside string, ok bool) {
	full = a.name
	switch {
	case a.name == "":
		return "", "", p.fail(SchemaMismatch, "a record, enum or fixed without a name")
	case strings.Contains(a.name, "."):
	case a.namespace != "":
		full = a.namespace + "." + a.name
	case namespace != "":
		full = namespace + "." + a.name
	}
	if _, twice := p.names[full]; twice {
		return "", "", p.fail(SchemaMismatch, "the type %.100q is defined twice", full)
	}
	p.names[full] = nil
	if dot := strings.LastIndexByte(full, '.'); dot >= 0 {
		inside = full[:dot]
	}
	return full, inside, true
}

// record parses a record. Connect's name of it repeats its full name.
func (p *avroParser) record(namespace string, a *avroAttributes) (*connectSchema, bool) {
	full, inside, ok := p.define(namespace, a)
	if !ok {
		return nil, false
	}
	if a.fields == 0 {
		return nil, p.fail(SchemaMismatch, "the record %.100q has no fields", full)
	}
	typ := &avroType{kind: avroRecord}
	c := &connectSchema{literal: "struct", name: full, size: 1, wire: avroValue{typ: typ}}
	seen := map[string]bool{}
	ok = p.at(a.fields, func() bool {
		return p.elements(func() bool {
			f, ok := p.field(inside)
			switch {
			case !ok:
				return false
			case seen[f.field]:
				return p.fail(DuplicateMember, "two fields %.100q in the record %.100q", f.field, full)
			case len(c.fields) == p.limits.Columns+addedMembers:
				return p.fail(TooLarge, "a record of more than %d fields", p.limits.Columns)
			}
			seen[f.field] = true
			if !p.contains(c, f) {
				return false
			}
			c.fields = append(c.fields, f)
			typ.fields = append(typ.fields, avroField{name: f.field, member: memberOf([]byte(f.field)), known: sourceMember([]byte(f.field)), value: f.wire})
			return true
		})
	})
	p.names[full] = c
	return c, ok
}

// field parses a field of a record. Its default is passed over: that is for readers of another schema.
func (p *avroParser) field(namespace string) (*connectSchema, bool) {
	a, ok := p.attributes()
	if !ok {
		return nil, false
	}
	if a.name == "" || a.typeAt == 0 {
		return nil, p.fail(SchemaMismatch, "a field without a name or a type")
	}
	var c *connectSchema
	ok = p.at(a.typeAt, func() (ok bool) {
		c, ok = p.schema(namespace)
		return ok
	})
	if !ok {
		return nil, false
	}
	c.field = a.name
	return c, true
}

func (p *avroParser) enum(namespace string, a *avroAttributes) (*connectSchema, bool) {
	full, _, ok := p.define(namespace, a)
	if !ok {
		return nil, false
	}
	typ := &avroType{kind: avroEnum}
	if a.symbols == 0 || !p.at(a.symbols, func() bool {
		return p.elements(func() bool {
			if p.peek() != '"' {
				return p.syntax("want a symbol")
			}
			symbol, ok := p.schemaText()
			typ.symbols = append(typ.symbols, []byte(symbol))
			return ok
		})
	}) {
		return nil, p.failed("the enum %.100q has no symbols", full)
	}
	c := &connectSchema{literal: "string", size: 1, wire: avroValue{typ: typ}}
	p.names[full] = c
	return c, true
}

func (p *avroParser) fixed(namespace string, a *avroAttributes) (*connectSchema, bool) {
	full, _, ok := p.define(namespace, a)
	if !ok {
		return nil, false
	}
	if a.size < 0 || a.size > int64(p.limits.StringBytes) {
		return nil, p.fail(SchemaMismatch, "the fixed type %.100q has no sensible size", full)
	}
	c := &connectSchema{literal: "bytes", size: 1, wire: avroValue{typ: &avroType{kind: avroFixed, size: int(a.size)}}}
	p.names[full] = c
	return c, true
}
