package simtest

import (
	"fmt"
	"strings"
)

// shopVersions is how many schemas s.shop goes through: each next one adds a column, and the last one widens another as well.
const shopVersions = 3

// changeShop changes the table with an integer key, whose records carry their schema: an insert or update, a delete with
// its tombstone, or a change of the key.
func (d *database) changeShop() []event {
	if d.version+1 < shopVersions && d.rng.IntN(60) == 0 {
		d.version++
	}
	id := int(d.zipf.Uint64())
	switch d.rng.IntN(6) {
	case 0:
		return d.removeShop(id)
	case 1:
		return append(d.removeShop(id), d.upsertShop(id+100))
	}
	return []event{d.upsertShop(id)}
}

func (d *database) upsertShop(id int) event {
	return event{topic: "s.shop", key: keyShop(id), value: d.valueShop("null", d.rowShop(id), d.op())}
}

func (d *database) removeShop(id int) []event {
	return []event{{topic: "s.shop", key: keyShop(id), value: d.valueShop(d.rowShop(id), "null", "d")}, {topic: "s.shop", key: keyShop(id)}}
}

// rowShop is a row in the present schema.
func (d *database) rowShop(id int) string {
	qty := d.rng.Int64N(1 << 31)
	if d.version == shopVersions-1 {
		qty = d.rng.Int64N(1 << 62)
	}
	out := fmt.Sprintf(`{"id":%d,"name":"name %d","qty":%d`, id, d.rng.IntN(1_000_000), qty)
	if d.version > 0 {
		out += fmt.Sprintf(`,"note":"note %d"`, d.rng.IntN(100))
	}
	if d.version > 1 {
		out += fmt.Sprintf(`,"seen":%v`, d.rng.IntN(2) == 0)
	}
	return out + "}"
}

func keyShop(id int) string {
	return fmt.Sprintf(`{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"s.shop.Key"},"payload":{"id":%d}}`, id)
}

func (d *database) valueShop(before, after, op string) string {
	qty := "int32"
	if d.version == shopVersions-1 {
		qty = "int64"
	}
	fields := []string{
		`{"type":"int32","optional":false,"field":"id"}`, `{"type":"string","optional":true,"field":"name"}`,
		fmt.Sprintf(`{"type":%q,"optional":true,"field":"qty"}`, qty),
		`{"type":"string","optional":true,"field":"note"}`, `{"type":"boolean","optional":true,"field":"seen"}`,
	}[:3+d.version]
	image := func(field string) string {
		return fmt.Sprintf(`{"type":"struct","fields":[%s],"optional":true,"name":"s.shop.Value","field":%q}`, strings.Join(fields, ","), field)
	}
	return `{"schema":{"type":"struct","fields":[` + image("before") + `,` + image("after") +
		`,{"type":"struct","fields":[` + strings.Join([]string{
		`{"type":"string","optional":false,"field":"version"}`, `{"type":"string","optional":false,"field":"connector"}`,
		`{"type":"string","optional":false,"field":"name"}`, `{"type":"int64","optional":false,"field":"ts_ms"}`,
		`{"type":"string","optional":true,"field":"snapshot"}`, `{"type":"string","optional":false,"field":"db"}`,
		`{"type":"string","optional":true,"field":"table"}`, `{"type":"int64","optional":false,"field":"server_id"}`,
		`{"type":"string","optional":false,"field":"file"}`, `{"type":"int64","optional":false,"field":"pos"}`,
		`{"type":"int32","optional":false,"field":"row"}`,
	}, ",") + `],"optional":false,"name":"io.debezium.connector.mysql.Source","field":"source"}` +
		`,{"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"}],"optional":false,"name":"s.shop.Envelope","version":2},"payload":` +
		fmt.Sprintf(`{"before":%s,"after":%s,%s,"op":%q,"ts_ms":1}}`, before, after, source, op)
}
