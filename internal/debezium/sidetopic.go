package debezium

import "bytes"

// sideTopic tells the records of Debezium's other topics, which change no row, by their shape. A shape that the row of a
// flattened message could have as well is not among them: such a record must not be ignored (I6).
func (d *Decoder) sideTopic(key []byte, ev *Event) error {
	seen, alone := d.env.seen, len(d.others) == 0
	has := func(members uint32) bool { return seen&members == members }
	switch {
	case seen&(memberBefore|memberAfter) != 0:
	case alone && seen&^(memberTsUs|memberTsNs) == memberTsMs && (key == nil || bytes.Contains(key, []byte(`"serverName"`))):
		ev.Ignored = RuleHeartbeat
		return nil
	case has(memberStatus | memberID | memberEventCount | memberDataCollections):
		ev.Ignored = RuleTransactionMetadata
		return nil
	case has(memberSource | memberDatabaseName | memberDDL):
		ev.Ignored = RuleSchemaChange
		return nil
	case alone && seen&^memberID == memberType|memberData && d.env.dataObject:
		ev.Ignored = RuleSignal
		return nil
	}
	if seen&(memberBefore|memberAfter|memberSource) == 0 {
		return errorf(MissingOp, "no envelope: none of before, after, source and op; flattened messages are not supported")
	}
	return errorf(MissingOp, "the member op is absent")
}
