package pipeline

import (
	"context"
	"errors"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/row"
)

// keyReader tells which keys records are about that could not be applied. Its decoder is its own: the other one may be amid a record.
type keyReader struct {
	decoder *debezium.Decoder
	learn   learner
	rows    *row.Rows
	event   debezium.Event
}

// learner tells a decoder of a schema that it needs. The error is errNoAnswer if the schema registry could not be asked.
type learner func(ctx context.Context, d *debezium.Decoder, needed *debezium.SchemaNeeded) error

func newKeyReader(o debezium.Options, learn learner) *keyReader {
	o.Partial = true
	return &keyReader{decoder: debezium.NewDecoder(o), learn: learn}
}

// bind sets the table's schema.
func (k *keyReader) bind(s *row.Schema) *keyReader {
	if k.rows == nil || k.rows.Schema != s {
		k.decoder.Bind(s)
		k.rows = row.NewRows(s)
	}
	return k
}

// keys returns the canonical keys whose rows a record may change that was set aside for a reason; not told: they may be any. They are
// valid until the next call. An event that can be decoded tells its keys. Otherwise the record key does, unless that is what was wrong.
func (k *keyReader) keys(ctx context.Context, r debezium.Record, reason string) (keys [][]byte, told bool, err error) {
	err = k.decode(ctx, r)
	switch ev := &k.event; {
	case errors.Is(err, errNoAnswer):
		return nil, false, err
	case err == nil && ev.Ignored != "":
		return nil, true, nil
	case err == nil && ev.Key != nil && ev.OldKey != nil:
		return [][]byte{ev.Key, ev.OldKey}, true, nil
	case err == nil && ev.Key != nil:
		return [][]byte{ev.Key}, true, nil
	case err == nil || ofKey(reason) || keyRefused(err):
		return nil, false, nil
	}
	r.Value = nil
	if err = k.decode(ctx, r); errors.Is(err, errNoAnswer) {
		return nil, false, err
	}
	if err != nil || k.event.Key == nil {
		return nil, false, nil //nolint:nilerr // It cannot be told.
	}
	return [][]byte{k.event.Key}, true, nil
}

func ofKey(reason string) bool {
	return reason == string(debezium.InvalidKey) || reason == string(debezium.NullKey)
}

func keyRefused(err error) bool {
	bad, ok := errors.AsType[*debezium.Error](err)
	return ok && ofKey(string(bad.Reason))
}

func (k *keyReader) decode(ctx context.Context, r debezium.Record) error {
	for {
		k.rows.Reset()
		err := k.decoder.DecodeRecord(r, k.rows, &k.event)
		needed, ok := errors.AsType[*debezium.SchemaNeeded](err)
		if !ok {
			return err
		}
		if err := k.learn(ctx, k.decoder, needed); err != nil {
			return err
		}
	}
}
