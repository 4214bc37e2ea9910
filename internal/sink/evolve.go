package sink

import (
	"fmt"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/row"
)

// schemaChange is what the next commit does to the table's schema.
type schemaChange struct {
	updates []icetable.Update
}

// Evolve asks for a wider schema: want is the present one with optional columns added, and columns widened as Iceberg
// promotes them (Iceberg specification, "Schema Evolution"). It takes effect with the next commit; drafts begun from
// now on write rows of want. Anything else than adding and widening halts the table.
func (t *Table) Evolve(want *row.Schema) error {
	tx := icetable.New(t.ident, t.meta, "", nil, nil).NewTransaction()
	update := tx.UpdateSchema(true, false)
	have, err := rowSchema(t.meta.CurrentSchema(), t.o)
	if err != nil {
		return err
	}
	ids := counter(t.meta.LastColumnID()) // Those of nested fields; the library gives columns theirs.
	for _, c := range want.Columns {
		i := have.Index(c.Name)
		switch {
		case i < 0:
			update = update.AddColumn([]string{c.Name}, icebergType(c.Type, ids), c.Doc, false, nil)
		case have.Columns[i].Type != c.Type:
			update = update.UpdateColumn([]string{c.Name}, icetable.ColumnUpdate{FieldType: iceberg.Optional[iceberg.Type]{Val: icebergType(c.Type, ids), Valid: true}})
		}
	}
	updates, _, err := update.BuildUpdates()
	if err != nil {
		return halt.Newf(halt.SchemaChange, "Rebuild the table, or undo the change in the source database.", "evolve schema: %w", err)
	}
	meta, err := icetable.UpdateTableMetadata(t.meta, updates, "")
	if err != nil {
		return fmt.Errorf("evolve schema: %w", err)
	}
	target, err := newTarget(meta.CurrentSchema(), t.o)
	if err != nil {
		return err
	}
	for _, c := range have.Columns {
		if target.rows.Index(c.Name) < 0 {
			return halt.Newf(halt.SchemaChange, "Rebuild the table.", "evolve schema: column %s would be lost", c.Name)
		}
	}
	t.evolved, t.target = &schemaChange{updates: updates}, target
	return nil
}
