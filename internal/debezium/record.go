package debezium

// A Record is what the decoder sees of a Kafka record.
type Record struct {
	Topic      string // May be empty: then no side topic is recognised by its name.
	Key, Value []byte // Nil: Kafka's null.
	Headers    []Header
}

// A Header is one header of a Kafka record. Names may repeat.
type Header struct {
	Key   string
	Value []byte
}

// header returns the last header of that name, or nil.
func (r *Record) header(prefix, name string) []byte {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if h := &r.Headers[i]; len(h.Key) == len(prefix)+len(name) && h.Key[:len(prefix)] == prefix && h.Key[len(prefix):] == name {
			return h.Value
		}
	}
	return nil
}
