package row

// Reserved returns the bytes of memory that the rows hold, whether values occupy them (Bytes) or they are kept for later.
func (r *Rows) Reserved() int {
	total := 0
	for i := range r.Vectors {
		total += r.Vectors[i].reserved()
	}
	return total
}

func (v *Vector) reserved() int {
	total := cap(v.Validity) + cap(v.Bits) + 4*cap(v.Int32s) + 8*cap(v.Int64s) + 4*cap(v.Float32s) + 8*cap(v.Float64s) +
		16*cap(v.Decimals) + 4*cap(v.Offsets) + cap(v.Bytes)
	for i := range v.Children {
		total += v.Children[i].reserved()
	}
	return total
}
