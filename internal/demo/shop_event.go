package demo

import (
	"fmt"
	"strconv"
)

const (
	serverName   = "shop" // The connector's topic.prefix.
	databaseName = "salesdb"

	opCreate = 'c'
	opUpdate = 'u'
	opDelete = 'd'
	opRead   = 'r'

	blockBytes  = 256 << 10 // Messages are cut out of blocks of this size.
	binlogBytes = 1 << 30   // max_binlog_size: the next transaction begins another file.
	sourceHead  = `,"source":{"version":"3.4.3.Final","connector":"mysql","name":"` + serverName + `","ts_ms":`
)

// connector is the state of the Debezium connector: where in the binary log of the source database it reads.
type connector struct {
	micros   int64 // The source database's clock.
	file     int
	fileName string
	pos      int64 // Where the rows event of the current statement starts.
	row      int   // Of the row in the statement.
	rows     int   // Of the statement so far.
	thread   int64
	snapshot string // The snapshot marker while there is a snapshot.
	block    []byte // Where messages are written; its start is in use by earlier messages.
}

func newConnector() connector {
	const start = 1_767_225_600_000_000 // 2026-01-01T00:00:00Z.
	return connector{micros: start, file: 3, fileName: "mysql-bin.000003", pos: 157, thread: 18}
}

// begin starts a source transaction.
func (s *Shop) begin() {
	s.out = make([]Message, 0, 4)
	c := &s.conn
	c.micros += 1 + s.rng.Int64N(1000)
	if s.Now != nil {
		c.micros = max(c.micros, s.Now().UnixMicro())
	}
	if c.pos > binlogBytes {
		c.file++
		c.fileName, c.pos = fmt.Sprintf("mysql-bin.%06d", c.file), 157
	}
	c.pos += 165 // The transaction's first events.
	c.thread = 18 + s.rng.Int64N(8)
	c.row, c.rows = -1, 0
}

// statement starts the next statement of the transaction: its rows share a position and are numbered from 0.
func (s *Shop) statement() {
	s.conn.pos += 120 + 64*int64(s.conn.rows)
	s.conn.row, s.conn.rows = -1, 0
}

func (s *Shop) nextRow() { s.conn.row++; s.conn.rows++ }

// insert, update, remove and rekey emit what the connector makes of one row changed. A change of the primary key is a delete
// with its tombstone and a create, which share a position.
func (s *Shop) insert(e entity) {
	s.nextRow()
	s.out = append(s.out, s.message(opCreate, nil, e))
}

func (s *Shop) update(before, after entity) {
	s.nextRow()
	s.out = append(s.out, s.message(opUpdate, before, after))
}

func (s *Shop) remove(e entity) {
	s.nextRow()
	deletion := s.message(opDelete, e, nil)
	s.out = append(s.out, deletion, Message{Topic: deletion.Topic, Key: deletion.Key})
}

func (s *Shop) rekey(before, after entity) {
	s.remove(before)
	s.out = append(s.out, s.message(opCreate, nil, after))
}

// message writes one event. Exactly one of before and after may be nil.
func (s *Shop) message(op byte, before, after entity) Message {
	e := after
	if e == nil {
		e = before
	}
	t := &s.tables[e.table()]
	key := s.document(t.keyPrefix, e.appendKey)
	value := s.document(t.valuePrefix, func(dst []byte) []byte { return s.appendEnvelope(dst, t, op, before, after) })
	return Message{Topic: t.Topic, Key: key, Value: value}
}

// document writes a key or a value, with its schema unless the shop is schemaless.
func (s *Shop) document(prefix string, payload func([]byte) []byte) []byte {
	const payloadLikely = 2 << 10 // A larger payload is written just as well, by a copy of the block.
	c := &s.conn
	if cap(c.block)-len(c.block) < len(prefix)+payloadLikely {
		c.block = make([]byte, 0, blockBytes)
	}
	start := len(c.block)
	if s.Schemaless {
		c.block = payload(c.block)
	} else {
		c.block = append(payload(append(c.block, prefix...)), '}')
	}
	return c.block[start:len(c.block):len(c.block)]
}

// appendEnvelope appends the payload of an event, its fields in the order of Debezium 2.7 and later.
func (s *Shop) appendEnvelope(dst []byte, t *table, op byte, before, after entity) []byte {
	snapshot := s.conn.snapshot != ""
	dst = appendImage(append(dst, `{"before":`...), before, snapshot)
	dst = appendImage(append(dst, `,"after":`...), after, snapshot)
	dst = s.appendSource(dst, t)
	dst = append(dst, `,"transaction":null,"op":"`...)
	dst = append(dst, op, '"')
	const delay = 35_000 // The connector reads that many microseconds after the commit.
	dst = appendTime(dst, s.conn.micros+delay)
	return append(dst, '}')
}

func appendImage(dst []byte, e entity, snapshot bool) []byte {
	if e == nil {
		return append(dst, "null"...)
	}
	return e.appendImage(dst, snapshot)
}

// appendTime appends the connector's clock.
func appendTime(dst []byte, micros int64) []byte {
	dst = strconv.AppendInt(append(dst, `,"ts_ms":`...), micros/1000, 10)
	dst = strconv.AppendInt(append(dst, `,"ts_us":`...), micros, 10)
	dst = strconv.AppendInt(append(dst, `,"ts_ns":`...), micros, 10)
	return append(dst, "678"...)
}

// appendSource appends the source block. Without GTIDs a commit's time has whole seconds, the binary log's granularity. A row of
// the snapshot has the snapshot's position and no server.
func (s *Shop) appendSource(dst []byte, t *table) []byte {
	c := &s.conn
	seconds := c.micros / 1_000_000
	dst = strconv.AppendInt(append(dst, sourceHead...), seconds, 10)
	dst = append(dst, `000,"snapshot":"`...)
	if c.snapshot != "" {
		dst = append(dst, c.snapshot...)
	} else {
		dst = append(dst, "false"...)
	}
	dst = append(dst, `","db":"`+databaseName+`","sequence":null,"ts_us":`...)
	dst = strconv.AppendInt(dst, seconds, 10)
	dst = strconv.AppendInt(append(dst, `000000,"ts_ns":`...), seconds, 10)
	dst = append(append(dst, "000000000"...), t.source...)
	if c.snapshot != "" {
		dst = append(dst, '0')
	} else {
		dst = append(dst, "223344"...)
	}
	dst = append(append(dst, `,"gtid":null,"file":"`...), c.fileName...)
	dst = strconv.AppendInt(append(dst, `","pos":`...), c.pos, 10)
	dst = append(dst, `,"row":`...)
	if c.snapshot != "" {
		return append(dst, `0,"thread":null,"query":null}`...)
	}
	dst = strconv.AppendInt(dst, int64(c.row), 10)
	dst = strconv.AppendInt(append(dst, `,"thread":`...), c.thread, 10)
	return append(dst, `,"query":null}`...)
}

// snapshotMarker returns the marker of a row of the initial snapshot, by its place in its table and in the whole.
func snapshotMarker(firstInTable, lastInTable, first, last bool) string {
	switch {
	case last:
		return "last"
	case first:
		return "first"
	case lastInTable:
		return "last_in_data_collection"
	case firstInTable:
		return "first_in_data_collection"
	}
	return "true"
}
