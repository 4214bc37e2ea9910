package sink

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cdcd-project/cdcd/internal/row"
)

// recordBatch wraps rows as an Arrow record batch without copying: it is valid until rows are appended to or reset.
// The columns of schema are those of rows, in the same order.
func recordBatch(schema *arrow.Schema, rows *row.Rows) arrow.RecordBatch {
	columns := make([]arrow.Array, len(rows.Vectors))
	for i := range rows.Vectors {
		columns[i] = wrap(schema.Field(i).Type, &rows.Vectors[i])
	}
	return array.NewRecordBatch(schema, columns, int64(rows.Len()))
}

func wrap(t arrow.DataType, v *row.Vector) arrow.Array {
	buffers := []*memory.Buffer{memory.NewBufferBytes(v.Validity)}
	if v.Nulls() == 0 {
		buffers[0] = nil
	}
	var children []arrow.ArrayData
	switch v.Type.Kind {
	case row.Boolean:
		buffers = append(buffers, memory.NewBufferBytes(v.Bits))
	case row.Int, row.Date:
		buffers = append(buffers, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v.Int32s)))
	case row.Long, row.Timestamp, row.TimestampTZ, row.Time:
		buffers = append(buffers, memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(v.Int64s)))
	case row.Float:
		buffers = append(buffers, memory.NewBufferBytes(arrow.Float32Traits.CastToBytes(v.Float32s)))
	case row.Double:
		buffers = append(buffers, memory.NewBufferBytes(arrow.Float64Traits.CastToBytes(v.Float64s)))
	case row.Decimal:
		buffers = append(buffers, memory.NewBufferBytes(decimalBytes(v.Decimals)))
	case row.String, row.Binary:
		buffers = append(buffers, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v.Offsets)), memory.NewBufferBytes(v.Bytes))
	case row.List:
		buffers = append(buffers, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v.Offsets)))
		children = append(children, wrap(t.(arrow.ListLikeType).Elem(), &v.Children[0]).Data())
	case row.Struct:
		for i, f := range t.(*arrow.StructType).Fields() {
			children = append(children, wrap(f.Type, &v.Children[i]).Data())
		}
	}
	return array.MakeFromData(array.NewData(t, v.Len(), buffers, children, v.Nulls(), 0))
}

// decimalBytes views decimals as Arrow's 128-bit values: row.Decimal128 has their memory layout.
func decimalBytes(d []row.Decimal128) []byte {
	if len(d) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&d[0])), len(d)*int(unsafe.Sizeof(d[0]))) //nolint:gosec // A view of flat memory, alive as long as d.
}
