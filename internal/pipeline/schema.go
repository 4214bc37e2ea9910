package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cdcd-project/cdcd/internal/debezium"
	"github.com/cdcd-project/cdcd/internal/registry"
)

// registryWait is how long the open batch waits for a schema, before it is committed without the record that needs it.
const registryWait = 2 * time.Second

// errStopped says that the table was told to stop while it waited for the registry. The position stands at the record at hand.
var errStopped = errors.New("told to stop while waiting for the schema registry")

// learn gets the schema that the record at p needs, and tells the decoder. While the registry is away it waits, for as long as it takes:
// what came before the record is committed, and nothing after it is read.
func (t *table) learn(ctx context.Context, p place, needed *debezium.SchemaNeeded) error {
	if t.d.o.Registry == nil {
		t.decoder.RefuseSchema(needed, debezium.UnknownSchema, "no schema registry is configured")
		return nil
	}
	t.metrics.awaited.Set(1)
	defer t.metrics.awaited.Set(0)
	schema, err := t.ask(ctx, needed.Ref, registryWait)
	if errors.Is(err, errSlow) {
		t.position.Set(p.topic, "", p.before)
		if err := t.commit(ctx); err != nil {
			return err
		}
		schema, err = t.ask(ctx, needed.Ref, 0)
	}
	if err = registry.Tell(t.decoder, needed, schema, err); err == nil {
		return nil
	}
	t.position.Set(p.topic, "", p.before)
	if errors.Is(err, errStopped) {
		return err
	}
	return errors.Join(err, t.commit(ctx)) // The registry refuses cdcd.
}

// learnAside is learn for a decoder of records that were set aside. It commits nothing meanwhile: an event may be half folded.
func (t *table) learnAside(ctx context.Context, d *debezium.Decoder, needed *debezium.SchemaNeeded) error {
	return learnFrom(t.d.o.Registry, d, needed, func() (debezium.WriterSchema, error) {
		t.metrics.awaited.Set(1)
		defer t.metrics.awaited.Set(0)
		return t.ask(ctx, needed.Ref, 0)
	})
}

// errNoAnswer says that the schema registry could not be asked.
var errNoAnswer = errors.New("ask the schema registry")

// learnFrom tells a decoder of a schema that it needs, or that there is no registry which could have it. The error is errNoAnswer.
func learnFrom(r *registry.Client, d *debezium.Decoder, needed *debezium.SchemaNeeded, ask func() (debezium.WriterSchema, error)) error {
	if r == nil {
		d.RefuseSchema(needed, debezium.UnknownSchema, "no schema registry is configured")
		return nil
	}
	schema, err := ask()
	if err = registry.Tell(d, needed, schema, err); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return nil
}

// errSlow says that the registry has not answered in time.
var errSlow = errors.New("the schema registry has not answered yet")

// ask asks the registry for a schema: for a time, or without an end for zero. A table that is told to stop does not wait on.
func (t *table) ask(ctx context.Context, ref debezium.SchemaRef, limit time.Duration) (debezium.WriterSchema, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.life, func() { cancel(errStopped) })() //nolint:contextcheck // ctx outlives it on purpose.
	if limit > 0 {
		timer := time.AfterFunc(limit, func() { cancel(errSlow) })
		defer timer.Stop()
	}
	return t.d.o.Registry.Schema(ctx, ref)
}
