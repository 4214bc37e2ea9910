package debezium

import "bytes"

// echoed reports whether the record key repeats, byte for byte, the identifier columns with which the row image begins, and has
// nothing else. It is then the row's own key: the same bytes, read by the same rules, are the same values.
//
// Only records without an embedded schema are looked at: where there is one, the key's may differ from the row's.
func (d *Decoder) echoed() bool {
	e, key := &d.env, d.record.Key
	if e.leadEnd == 0 || d.value != nil && d.value.root != nil {
		return false
	}
	lead := d.record.Value[e.after:e.leadEnd]
	n := len(key) - 1
	return n == len(lead) && key[n] == '}' && bytes.Equal(key[:n], lead)
}
