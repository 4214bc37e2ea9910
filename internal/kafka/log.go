package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// repeatEvery is how often an error that lasts is logged, after its first time.
const repeatEvery = time.Minute

// repeats logs errors that may come back at once: the first, then one a minute with a count.
type repeats struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]repeat // By kind and place. Bounded by brokers, configured topics and their partitions.
}

type repeat struct {
	at    time.Time
	count int // Since at.
}

func newRepeats(log *slog.Logger) *repeats { return &repeats{log: log, last: map[string]repeat{}} }

// due reports whether an occurrence of key is to be logged, and how many there were since the last one that was.
func (r *repeats) due(key string) (bool, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, last := time.Now(), r.last[key]
	last.count++
	if !last.at.IsZero() && now.Sub(last.at) < repeatEvery {
		r.last[key] = last
		return false, 0
	}
	r.last[key] = repeat{at: now}
	return true, last.count
}

// connectHook logs brokers that cannot be reached: kgo retries them for ever without a word above debug level.
type connectHook struct{ repeats *repeats }

var _ kgo.HookBrokerConnect = connectHook{}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h connectHook) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	address := net.JoinHostPort(meta.Host, fmt.Sprint(meta.Port))
	if due, count := h.repeats.due("connect " + address); due {
		h.repeats.log.Warn("retried broker connection", "broker", address, "attempt", count, "err", err)
	}
}

// kgoLogger hands kgo's own warnings and errors on. kgo's information is our debug level: it has a line per rebalance
// step and metadata update.
type kgoLogger struct{ log *slog.Logger }

// Level implements kgo.Logger.
func (l kgoLogger) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) { //nolint:forbidigo // kgo.Logger has no context to pass on.
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelWarn
}

// Log implements kgo.Logger.
func (l kgoLogger) Log(level kgo.LogLevel, message string, keyvals ...any) {
	var details strings.Builder
	for i := 0; i+1 < len(keyvals); i += 2 {
		fmt.Fprintf(&details, " %v=%v", keyvals[i], keyvals[i+1])
	}
	attrs := []any{slog.String("event", message), slog.String("details", strings.TrimSpace(details.String()))}
	switch level {
	case kgo.LogLevelError:
		l.log.Error("reported by kafka client", attrs...)
	case kgo.LogLevelWarn:
		l.log.Warn("reported by kafka client", attrs...)
	case kgo.LogLevelNone, kgo.LogLevelInfo, kgo.LogLevelDebug:
		l.log.Debug("reported by kafka client", attrs...)
	}
}
