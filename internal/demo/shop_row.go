package demo

import "strconv"

// Null is the text of an SQL NULL in Truth. No string of the shop is that; those given to InsertCustomer must not be.
const Null = "NULL"

// entity is a row of the shop, which writes itself as the JSON of an event and as canonical text. The two ways meet in no
// code but this, so the text can judge what cdcd made of the JSON.
type entity interface {
	table() int
	appendKey(dst []byte) []byte
	appendImage(dst []byte, snapshot bool) []byte
	appendText(dst []string) []string
}

// customer is a row of customer.
type customer struct {
	id            int32
	name, segment string
}

// order is a row of orders, with the rows of order_item that belong to it.
type order struct {
	id, total            int64 // The total is in hundredths.
	customer             int32
	status               string
	orderedAt, updatedAt int64 // Microseconds since 1970-01-01, a wall clock's and an instant.
	note                 string
	hasNote              bool
	items                []*item
}

// item is a row of order_item.
type item struct {
	order             int64
	line, qty         int32
	sku               string
	price             int64 // In hundredths.
	shipped           int32 // Days since 1970-01-01, if isShipped.
	isShipped, isGift bool
}

func (*customer) table() int { return tableCustomer }
func (*order) table() int    { return tableOrders }
func (*item) table() int     { return tableItem }

func (c *customer) appendKey(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `{"cust_id":`...), int64(c.id), 10), '}')
}

func (o *order) appendKey(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `{"order_id":`...), o.id, 10), '}')
}

func (i *item) appendKey(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"order_id":`...), i.order, 10)
	return append(strconv.AppendInt(append(dst, `,"line":`...), int64(i.line), 10), '}')
}

func (c *customer) appendImage(dst []byte, _ bool) []byte {
	dst = strconv.AppendInt(append(dst, `{"cust_id":`...), int64(c.id), 10)
	dst = appendString(append(dst, `,"name":`...), c.name)
	dst = appendString(append(dst, `,"mktsegment":`...), c.segment)
	return append(dst, '}')
}

func (o *order) appendImage(dst []byte, snapshot bool) []byte {
	dst = strconv.AppendInt(append(dst, `{"order_id":`...), o.id, 10)
	dst = strconv.AppendInt(append(dst, `,"cust_id":`...), int64(o.customer), 10)
	dst = appendString(append(dst, `,"status":`...), o.status)
	dst = appendDecimal(append(dst, `,"total":`...), o.total)
	dst = strconv.AppendInt(append(dst, `,"ordered_at":`...), o.orderedAt, 10)
	dst = appendZoned(append(dst, `,"updated_at":`...), o.updatedAt, snapshot)
	dst = append(dst, `,"note":`...)
	if o.hasNote {
		dst = appendString(dst, o.note)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, '}')
}

func (i *item) appendImage(dst []byte, _ bool) []byte {
	dst = strconv.AppendInt(append(dst, `{"order_id":`...), i.order, 10)
	dst = strconv.AppendInt(append(dst, `,"line":`...), int64(i.line), 10)
	dst = appendString(append(dst, `,"sku":`...), i.sku)
	dst = strconv.AppendInt(append(dst, `,"qty":`...), int64(i.qty), 10)
	dst = appendDecimal(append(dst, `,"price":`...), i.price)
	dst = append(dst, `,"shipped":`...)
	if i.isShipped {
		dst = strconv.AppendInt(dst, int64(i.shipped), 10)
	} else {
		dst = append(dst, "null"...)
	}
	return append(strconv.AppendBool(append(dst, `,"gift":`...), i.isGift), '}')
}

func (c *customer) appendText(dst []string) []string {
	return append(dst, strconv.Itoa(int(c.id)), c.name, c.segment)
}

func (o *order) appendText(dst []string) []string {
	note := Null
	if o.hasNote {
		note = o.note
	}
	return append(dst, strconv.FormatInt(o.id, 10), strconv.Itoa(int(o.customer)), o.status, hundredths(o.total),
		wallClock(o.orderedAt), wallClock(o.updatedAt)+"Z", note)
}

func (i *item) appendText(dst []string) []string {
	shipped := Null
	if i.isShipped {
		shipped = date(i.shipped)
	}
	return append(dst, strconv.FormatInt(i.order, 10), strconv.Itoa(int(i.line)), i.sku, strconv.Itoa(int(i.qty)),
		hundredths(i.price), shipped, strconv.FormatBool(i.isGift))
}
