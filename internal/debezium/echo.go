package debezium

import "bytes"

// echoed reports whether the record key repeats, byte for byte, the identifier columns with which the row image begins, and has
// nothing else. It is then the row's own key: the same bytes, read by the same rules, are the same values.
//
// Only records without an embedded schema are looked at: where there is one, the key's may differ from the row's.
func (d *Decoder) echoed() bool {
	s, key := &d.scan, d.record.Key
	if s.leadEnd == 0 || !s.ordered || d.value != nil && d.value.root != nil {
		return false
	}
	lead := d.record.Value[d.env.after:s.leadEnd]
	n := len(key) - 1
	return n == len(lead) && key[n] == '}' && bytes.Equal(key[:n], lead)
}
