package debezium

import "strings"

// heartbeatPrefix begins the names of heartbeat topics (topic.heartbeat.prefix).
const heartbeatPrefix = "__debezium-heartbeat."

// sideTopic returns the rule by which all records of a topic are ignored, or none. Only names that can be nothing else are
// known: "shop.transaction" may be a table as well, and is told by the shape of its records, or configured.
func (o *Options) sideTopic(topic string) Rule {
	if topic == "" {
		return ""
	}
	if rule, ok := o.SideTopics[topic]; ok {
		return rule
	}
	if strings.HasPrefix(topic, heartbeatPrefix) {
		return RuleHeartbeat
	}
	return ""
}

// sideTopic tells the records of Debezium's other topics, which change no row, by their shape. A shape that the row of a
// flattened message could have as well is not among them: such a record must not be ignored (I6).
func (d *Decoder) sideTopic(ev *Event) error {
	seen, alone := d.env.seen, d.env.unknown == 0
	has := func(members uint32) bool { return seen&members == members }
	switch {
	case seen&(memberBefore|memberAfter) != 0:
	case alone && seen&^(memberTsUs|memberTsNs) == memberTsMs:
		heartbeat, err := d.isHeartbeatKey()
		if err != nil {
			return err
		}
		if heartbeat {
			ev.Ignored = RuleHeartbeat
			return nil
		}
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
		return errorf(MissingOp, "no envelope: none of before, after, source and op")
	}
	return errorf(MissingOp, "the member op is absent")
}

// isHeartbeatKey reports whether the record has no key, or that of a heartbeat: an object whose one member is serverName. The error is a
// *SchemaNeeded.
func (d *Decoder) isHeartbeatKey() (bool, error) {
	if d.record.Key == nil {
		return true, nil
	}
	e, err := d.open(&d.keys, d.record.Key, true)
	if _, needed := err.(*SchemaNeeded); needed { //nolint:errorlint // Ours, unwrapped.
		return false, err
	}
	if d.avro {
		return err == nil && len(e.root.fields) == 1 && e.root.fields[0].field == "serverName", nil
	}
	s, members, named := &d.scan, 0, false
	ok := err == nil && s.members(func(name []byte) bool {
		members++
		named = string(name) == "serverName"
		return s.skip()
	}) && d.finish()
	s.err = nil
	return ok && named && members == 1, nil
}
