package pipeline

import (
	"context"
	"errors"

	"github.com/cdcd-project/cdcd/internal/halt"
	"github.com/cdcd-project/cdcd/internal/kafka"
)

// poll waits for records until a commit is due. A position that the brokers cannot tell about at present is asked about again, for
// as long as it takes, each time after a longer pause. The open batch stays meanwhile, but is not committed: the answer may
// be that the log has lost what is in it. Other errors end the session.
func (t *table) poll(ctx context.Context) ([]kafka.Fetch, error) {
	pause := t.d.o.Pause
	for {
		fetches, err := t.sub.Poll(ctx, t.untilDue())
		_, halted := errors.AsType[*halt.Error](err)
		if err == nil || halted || ctx.Err() != nil || errors.Is(err, kafka.ErrClosed) {
			return fetches, err
		}
		t.log.Warn("retried poll", "err", err)
		if !wait(ctx, pause) {
			return nil, context.Cause(ctx)
		}
		pause = min(2*pause, t.d.o.PauseMax)
	}
}
