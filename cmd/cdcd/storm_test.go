package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cdcd-project/cdcd/internal/awstest"
	"github.com/cdcd-project/cdcd/internal/wiretest"
)

// storm is a world in which processes come and go at random, as a seed tells.
type storm struct {
	*world
	tally

	rng     *rand.Rand
	length  time.Duration
	configs []string               // That processes are started with, in turn; the first has all tables.
	all     []*process             // Every process there was.
	living  []*process             // Those that are to run on.
	leaving []*process             // Those that were told to stop, and the bounded ones.
	frozen  map[*process]time.Time // Until when.
	waiting atomic.Int32           // Requests that the cloud delays.
	bounded map[*process]bool      // Runs that end by themselves.
	groups  []string
}

// stormSession is short, so that tables are taken over often.
const stormSession = 1500 * time.Millisecond

// newStorm returns a storm over 2 to 5 tables, with a SQLite catalog and a folder, or with Glue and S3 that fail now and then.
func newStorm(t *testing.T, dir string, seed uint64) *storm {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 61))
	var mirrors []*mirror
	for n := range 2 + rng.IntN(4) {
		kind := []func(string) *mirror{items, stock}[rng.IntN(2)]
		mirrors = append(mirrors, kind(fmt.Sprintf("shop.t%d", n)))
	}
	s := &storm{
		world: newWorldIn(t, dir, mirrors...), rng: rng, length: 8*time.Second + time.Duration(rng.Int64N(int64(12*time.Second))),
		frozen: map[*process]time.Time{}, bounded: map[*process]bool{}, groups: []string{"storm", "rival"},
	}
	if rng.IntN(2) == 0 {
		s.cloud = startCloud(t)
		s.cloud.meddle(s.fault(rand.New(rand.NewPCG(seed, 67))))
	}
	d := deployment{group: "storm", interval: "30ms", session: stormSession.String(), grace: "3s", mirrors: mirrors}
	s.configs = append(s.configs, s.deploy("all.toml", d))
	d.mirrors, d.interval = mirrors[1:], "60ms"
	s.configs = append(s.configs, s.deploy("fewer.toml", d))
	d.mirrors, d.interval = slices.Clone(mirrors), "15ms"
	slices.Reverse(d.mirrors)
	s.configs = append(s.configs, s.deploy("faster.toml", d))
	d.group = "rival"
	s.configs = append(s.configs, s.deploy("rival.toml", d))
	for range 1 + rng.IntN(3) {
		s.start(s.configs[0])
	}
	return s
}

func (s *storm) kind() string {
	if s.cloud != nil {
		return "glue, s3"
	}
	return "sqlite, folder"
}

// fault returns what the cloud makes of requests: most are done, some are late, refused, or done without an answer.
func (s *storm) fault(rng *rand.Rand) func(r *wiretest.Request) wiretest.Verdict {
	draws := make(chan [2]int, 1) // Requests come in several goroutines, and the generator is for one.
	draws <- [2]int{}
	return func(r *wiretest.Request) wiretest.Verdict {
		if r.AccessKeyID == "reader" {
			return wiretest.Do()
		}
		<-draws
		what, how := rng.IntN(100), rng.IntN(80)
		draws <- [2]int{}
		code := map[string]string{awstest.Glue: awstest.InternalServiceException, awstest.S3: awstest.InternalError}[r.Service]
		switch {
		case what < 6:
			s.waiting.Add(1)
			defer s.waiting.Add(-1)
			time.Sleep(time.Duration(how) * time.Millisecond)
		case what < 7:
			return wiretest.Refuse(http.StatusInternalServerError, code)
		case what < 8:
			return wiretest.DoThenRefuse(http.StatusInternalServerError, code)
		case what < 9:
			return wiretest.DoThenDrop()
		case what < 10:
			return wiretest.Drop()
		}
		return wiretest.Do()
	}
}

func (s *storm) start(config string, more ...string) *process {
	p := s.run(config, more...)
	s.all = append(s.all, p)
	if len(more) > 0 {
		s.bounded[p] = true
		s.leaving = append(s.leaving, p)
	} else {
		s.living = append(s.living, p)
	}
	return p
}

// act does one thing to the processes.
func (s *storm) act() {
	s.t.Helper()
	for _, p := range s.living {
		if p.ended() {
			s.t.Fatalf("%s has ended by itself, with exit code %d", p.name, p.cmd.ProcessState.ExitCode())
		}
	}
	if len(s.living) == 0 {
		s.start(s.configs[0])
		return
	}
	p := s.living[s.rng.IntN(len(s.living))]
	switch dice := s.rng.IntN(20); {
	case dice < 5:
		if len(s.living) < 4 {
			s.start(s.configs[s.rng.IntN(len(s.configs))])
		}
	case dice < 9:
		s.kill(p)
	case dice < 12:
		s.stopSoon(p)
	case dice < 15:
		s.freeze(p, 20*time.Millisecond+time.Duration(s.rng.IntN(300))*time.Millisecond)
	case dice < 17:
		s.freeze(p, stormSession+time.Duration(s.rng.IntN(1500))*time.Millisecond)
	case dice < 18:
		s.start(s.configs[0], "-backfill")
	default: // A rolling restart with another configuration.
		config := s.configs[s.rng.IntN(3)]
		for _, p := range slices.Clone(s.living) {
			s.stopSoon(p)
			s.start(config)
		}
	}
}

func (s *storm) kill(p *process) {
	s.t.Helper()
	s.forget(p)
	s.kills++
	p.kill()
}

// stopSoon tells a process to stop, and does not wait for it.
func (s *storm) stopSoon(p *process) {
	s.t.Helper()
	_, frozen := s.frozen[p]
	s.forget(p)
	p.signal(syscall.SIGTERM)
	if frozen { // It would never hear of it. Another one may have ended by now: nobody listened yet.
		p.signal(syscall.SIGCONT)
	}
	s.leaving = append(s.leaving, p)
}

func (s *storm) forget(p *process) {
	delete(s.frozen, p)
	s.living = slices.DeleteFunc(s.living, func(q *process) bool { return q == p })
}

func (s *storm) freeze(p *process, d time.Duration) {
	s.t.Helper()
	if _, already := s.frozen[p]; already {
		return
	}
	s.freezes++
	p.signal(syscall.SIGSTOP)
	s.frozen[p] = time.Now().Add(d)
}

// thaw lets those processes go on whose time has come.
func (s *storm) thaw(now time.Time) {
	s.t.Helper()
	for p, until := range s.frozen {
		if now.After(until) {
			delete(s.frozen, p)
			p.signal(syscall.SIGCONT)
		}
	}
}

// heal ends the storm: every process ends, in peace or not, and one that finds nobody else goes to the ends of all topics.
func (s *storm) heal() {
	s.t.Helper()
	s.thaw(time.Now().Add(time.Hour))
	peaceful := s.rng.IntN(2) == 0
	for _, p := range slices.Clone(s.living) {
		if peaceful {
			s.stopSoon(p)
		} else {
			s.kill(p)
		}
	}
	for _, p := range s.leaving {
		code := p.exit()
		switch {
		case code == exitDone:
		case s.bounded[p]: // It may have met another writer.
		case len(p.log.find(says("started", ""))) == 0: // The signal came before anybody could listen.
		default:
			s.t.Errorf("%s: exit code %d, want %d", p.name, code, exitDone)
		}
	}
	for _, p := range s.all {
		for _, l := range p.log.find(says("halted table", "")) {
			if !s.bounded[p] || l.Reason != "another_writer" {
				s.t.Errorf("%s: halted table %s: %s: %s", p.name, l.Table, l.Reason, l.Err)
			}
		}
	}
	if s.cloud != nil {
		s.cloud.meddle(nil)
		eventually(s.t, "the last request of a dead process has arrived", func() bool { return s.waiting.Load() == 0 })
	}
	s.all = append(s.all, s.backfill(s.configs[0]))
}
