package demo

import "strings"

// Table describes a table of the shop.
type Table struct {
	Name    string // Without the database: "orders".
	Topic   string // "shop.salesdb.orders".
	Columns []Column
	Key     []string // The columns of the primary key.
}

// Column is a column of a Table.
type Column struct {
	Name string
	Type string // The Iceberg type: "decimal(12,2)".

	connect string // The Connect schema of the field, but for its name.
}

// table is a Table with the parts of its messages that never change.
type table struct {
	Table

	keyPrefix   string // Up to the payload of a key that carries its schema.
	valuePrefix string // Likewise of a value.
	source      string // The source block from the table's name to the server's number.
}

const (
	tableCustomer = iota
	tableOrders
	tableItem
)

// Connect schemas of columns, as the MySQL connector declares them with its default settings (Debezium documentation, "MySQL
// connector", "Data type mappings"), and the TINYINT(1) converter for booleans.
const (
	connectInt       = `"type":"int32","optional":false`
	connectLong      = `"type":"int64","optional":false`
	connectText      = `"type":"string","optional":false`
	connectTextNull  = `"type":"string","optional":true`
	connectMicros    = `"type":"int64","optional":false,"name":"io.debezium.time.MicroTimestamp","version":1`
	connectZoned     = `"type":"string","optional":false,"name":"io.debezium.time.ZonedTimestamp","version":1`
	connectDateNull  = `"type":"int32","optional":true,"name":"io.debezium.time.Date","version":1`
	connectBool      = `"type":"boolean","optional":false,"default":false`
	connectStatus    = `"type":"string","optional":false,"name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":"` + statuses + `"},"default":"new"`
	connectDecimal10 = `"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"10"}`
	connectDecimal12 = `"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"12"}`
)

func newTables() [3]table {
	return [3]table{
		tableCustomer: newTable("customer", 1, []Column{
			{"cust_id", "int", connectInt},
			{"name", "string", connectText},
			{"mktsegment", "string", connectText},
		}),
		tableOrders: newTable("orders", 1, []Column{
			{"order_id", "long", connectLong},
			{"cust_id", "int", connectInt},
			{"status", "string", connectStatus},
			{"total", "decimal(12,2)", connectDecimal12},
			{"ordered_at", "timestamp", connectMicros},
			{"updated_at", "timestamptz", connectZoned},
			{"note", "string", connectTextNull},
		}),
		tableItem: newTable("order_item", 2, []Column{
			{"order_id", "long", connectLong},
			{"line", "int", connectInt},
			{"sku", "string", connectText},
			{"qty", "int", connectInt},
			{"price", "decimal(10,2)", connectDecimal10},
			{"shipped", "date", connectDateNull},
			{"gift", "boolean", connectBool},
		}),
	}
}

// newTable returns the table whose primary key is the first columns.
func newTable(name string, keyColumns int, columns []Column) table {
	topic := serverName + "." + databaseName + "." + name
	t := table{Table: Table{Name: name, Topic: topic, Columns: columns}}
	for _, c := range columns[:keyColumns] {
		t.Key = append(t.Key, c.Name)
	}
	t.keyPrefix = `{"schema":{"type":"struct","fields":` + fields(columns[:keyColumns]) + `,"optional":false,"name":"` + topic + `.Key"},"payload":`
	image := `{"type":"struct","fields":` + fields(columns) + `,"optional":true,"name":"` + topic + `.Value","field":"`
	t.valuePrefix = `{"schema":{"type":"struct","fields":[` + image + `before"},` + image + `after"},` + envelopeSchema +
		`],"optional":false,"name":"` + topic + `.Envelope","version":2},"payload":`
	t.source = `,"table":"` + name + `","server_id":`
	return t
}

func fields(columns []Column) string {
	var all []string
	for _, c := range columns {
		all = append(all, `{`+c.connect+`,"field":"`+c.Name+`"}`)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// envelopeSchema is the schema of an envelope's fields after the two row images (Debezium 3.1 and later).
const envelopeSchema = `{"type":"struct","fields":[` +
	`{"type":"string","optional":false,"field":"version"},` +
	`{"type":"string","optional":false,"field":"connector"},` +
	`{"type":"string","optional":false,"field":"name"},` +
	`{"type":"int64","optional":false,"field":"ts_ms"},` +
	`{"type":"string","optional":true,"name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":` +
	`"true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},"default":"false","field":"snapshot"},` +
	`{"type":"string","optional":false,"field":"db"},` +
	`{"type":"string","optional":true,"field":"sequence"},` +
	`{"type":"int64","optional":true,"field":"ts_us"},` +
	`{"type":"int64","optional":true,"field":"ts_ns"},` +
	`{"type":"string","optional":true,"field":"table"},` +
	`{"type":"int64","optional":false,"field":"server_id"},` +
	`{"type":"string","optional":true,"field":"gtid"},` +
	`{"type":"string","optional":false,"field":"file"},` +
	`{"type":"int64","optional":false,"field":"pos"},` +
	`{"type":"int32","optional":false,"field":"row"},` +
	`{"type":"int64","optional":true,"field":"thread"},` +
	`{"type":"string","optional":true,"field":"query"}` +
	`],"optional":false,"name":"io.debezium.connector.mysql.Source","version":1,"field":"source"},` +
	`{"type":"struct","fields":[` +
	`{"type":"string","optional":false,"field":"id"},` +
	`{"type":"int64","optional":false,"field":"total_order"},` +
	`{"type":"int64","optional":false,"field":"data_collection_order"}` +
	`],"optional":true,"name":"event.block","version":1,"field":"transaction"},` +
	`{"type":"string","optional":false,"field":"op"},` +
	`{"type":"int64","optional":true,"field":"ts_ms"},` +
	`{"type":"int64","optional":true,"field":"ts_us"},` +
	`{"type":"int64","optional":true,"field":"ts_ns"}`
