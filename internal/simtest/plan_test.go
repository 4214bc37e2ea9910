package simtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// plan is what a seed has in store, beside chance.
type plan struct {
	rate    float64 // How many of the calls meet a fault.
	kinds   []fault // Which ones; crashes are rarer than the others.
	force   []forcedFault
	actors  []string // What happens beside faults; see actors.
	members int      // How many processes share the tables.
	turns   int      // How often something happens to a process.
	events  int
	grace   time.Duration // How long a table may finish its batch when it is told to stop.
	session time.Duration // How long the group waits for a member that says nothing.
	tables  []string

	skip bool // Whether an operator skips the record that cannot be applied.

	// lone says that one process does everything, from the first record to the last: whatever it meets, it never stands down,
	// and it leaves nothing behind.
	lone bool
	// patient says that the members themselves end the work after the world has healed, with the commit that is due after a
	// quiet interval. Otherwise a process reads to the end and stops.
	patient bool
}

// forcedFault is a fault that a call site meets in this seed for certain, if it is called at all after a while: so every kind of
// fault happens everywhere in a run of a few hundred seeds.
type forcedFault struct {
	site  string
	what  fault
	after time.Duration
}

// actors are what may happen in a seed beside faults.
const (
	actRival    = "rival"    // A second deployment believes that it owns the same tables.
	actFreeze   = "freeze"   // A process is stopped for a while, and goes on: the zombie.
	actNap      = "nap"      // All processes are stopped for more than a day.
	actRestart  = "restart"  // A process is stopped and another started.
	actKill     = "kill"     // A process is killed and another started.
	actRoll     = "roll"     // All members are replaced, one by one.
	actCompact  = "compact"  // Another engine rewrites the files of a table.
	actExpire   = "expire"   // Another engine expires snapshots.
	actRollback = "rollback" // An operator rolls a table back.
	actReplay   = "replay"   // The source sends the last records of a partition again, as after a restart.
	actAbort    = "abort"    // The source writes in transactions, and aborts some.
	actClean    = "clean"    // The brokers compact the topics.
	actLeader   = "leader"   // A partition's leader changes.
	actAway     = "away"     // The schema registry is away for a while.
)

// shares say in how many of a hundred seeds an actor appears.
func shares() map[string]int {
	return map[string]int{
		actRival: 35, actFreeze: 45, actNap: 6, actRestart: 60, actKill: 70, actRoll: 20, actCompact: 25, actExpire: 15, actRollback: 10,
		actReplay: 60, actAbort: 25, actClean: 20, actLeader: 25, actAway: 25,
	}
}

// quiet are the actors that a lone process may meet.
func quiet() []string { return []string{actReplay, actAbort, actClean, actLeader, actFreeze, actAway} }

func newPlan(seed uint64, o options) plan {
	rng := rand.New(rand.NewPCG(seed, 3))
	p := plan{
		rate: []float64{0, 0.01, 0.03, 0.08}[rng.IntN(4)], members: 1 + rng.IntN(3), turns: 3 + rng.IntN(6), events: 150 + rng.IntN(250),
		grace:   []time.Duration{100 * time.Millisecond, 2 * time.Second, 20 * time.Second}[rng.IntN(3)],
		session: []time.Duration{6 * time.Second, 6 * time.Second, 15 * time.Second, 45 * time.Second}[rng.IntN(4)],
		tables:  someTables(rng), lone: rng.IntN(8) == 0, patient: rng.IntN(6) == 0,
	}
	for _, f := range []fault{refuse, lose, late, delay, crashBefore, crashAfter} {
		if len(o.kinds) == 0 || slices.Contains(o.kinds, f.String()) {
			p.kinds = append(p.kinds, f)
		}
	}
	if len(o.kinds) > 0 {
		p.rate = max(p.rate, 0.06)
	}
	if p.hasTable(tableShop) && rng.IntN(2) == 0 {
		p.tables = append(p.tables, tableCopy)
	}
	if rng.IntN(3) == 0 {
		p.tables = append(p.tables, tableSour)
		p.skip = rng.IntN(2) == 0
	}
	if len(o.tables) > 0 {
		p.tables = o.tables
	}
	share := shares()
	for _, name := range o.actorNames() {
		if hit := rng.IntN(100) < share[name]; hit || len(o.actors) > 0 {
			p.actors = append(p.actors, name)
		}
	}
	// Who is away for longer than compaction keeps tombstones cannot hear of deletes: that is Kafka's contract. And kfake takes away
	// the markers of aborted transactions while it still names them, so that a reader waits for them in vain.
	if p.has(actNap) || p.has(actAbort) {
		p.actors = slices.DeleteFunc(p.actors, func(a string) bool { return a == actClean })
	}
	if p.has(actNap) {
		p.session, p.members = 45*time.Second, min(p.members, 2) // A day of ticks costs time.
	}
	p.lone = p.lone && len(o.actors) == 0 || o.lone
	if p.lone {
		p.makeLone()
	}
	p.forceSome(seed, rng)
	if p.asksRegistry() && len(o.tables) == 0 && !p.hasTable(tableAvro) {
		p.tables[0] = tableAvro
	}
	return p
}

// someTables draws three of the tables that never halt.
func someTables(rng *rand.Rand) []string {
	all := []string{tableShop, tableCart, tableTags, tableWide, tableAvro}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:3]
}

// makeLone leaves the plan with faults after which a process goes on in the same session.
func (p *plan) makeLone() {
	p.lone, p.patient, p.members, p.turns = true, true, 1, 3
	p.kinds = slices.DeleteFunc(p.kinds, func(f fault) bool { return f == crashBefore || f == crashAfter })
	p.rate = max(p.rate, 0.03)
	p.actors = slices.DeleteFunc(p.actors, func(a string) bool { return !slices.Contains(quiet(), a) })
}

// forceSome gives the seed some of all pairs of site and fault, so that any run of seeds as long as the pairs has each of them several
// times; and three of those of sites that are called seldom.
func (p *plan) forceSome(seed uint64, rng *rand.Rand) {
	all, rare := pairs(sites()), pairs(rareSites())
	n := uint64(len(rare))
	chosen := []forcedFault{rare[seed%n], rare[(seed+n/3)%n], rare[(seed+2*n/3)%n]}
	for i := range uint64(4) {
		pair := all[(seed+i*37)%uint64(len(all))]
		if rng.IntN(2) == 0 && !slices.Contains(rareSites(), pair.site) {
			pair.after = time.Duration(rng.IntN(20)) * time.Second
		}
		chosen = append(chosen, pair)
	}
	p.force = slices.DeleteFunc(chosen, func(f forcedFault) bool { return !slices.Contains(p.kinds, f.what) })
}

// asksRegistry says whether a fault is in store for the schema registry.
func (p *plan) asksRegistry() bool {
	return slices.ContainsFunc(p.force, func(f forcedFault) bool { return f.site == siteRegistry })
}

// sites are the call sites that leave a process.
func sites() []string {
	return []string{
		"storage.get", "storage.put", "storage.create", "storage.remove",
		"catalog.load", "catalog.namespace_exists", "catalog.create_namespace", "catalog.create_table", "catalog.commit", siteQuarantine,
		"kafka.api_versions", "kafka.metadata", "kafka.find_coordinator", "kafka.join_group", "kafka.sync_group", "kafka.heartbeat",
		"kafka.leave_group", "kafka.offset_fetch", "kafka.offset_commit", "kafka.list_offsets", "kafka.offset_for_leader_epoch", "kafka.fetch",
		siteRegistry,
	}
}

// rareSites are those that a process calls once, or at its end.
func rareSites() []string {
	return []string{"storage.remove", "catalog.namespace_exists", "catalog.create_namespace", "catalog.create_table", "kafka.leave_group", siteQuarantine, siteRegistry}
}

func pairs(sites []string) []forcedFault {
	var all []forcedFault
	for _, site := range sites {
		for _, f := range []fault{refuse, lose, late, delay, crashBefore, crashAfter} {
			all = append(all, forcedFault{site: site, what: f})
		}
	}
	return all
}

// pick draws a fault of the plan's kinds.
func (p *plan) pick(rng *rand.Rand) fault {
	f := p.kinds[rng.IntN(len(p.kinds))]
	if (f == crashBefore || f == crashAfter) && rng.IntN(4) > 0 {
		f = p.kinds[rng.IntN(len(p.kinds))]
	}
	return f
}

func (p *plan) has(actor string) bool { return slices.Contains(p.actors, actor) }

func (p *plan) String() string {
	kind := "shared"
	if p.lone {
		kind = "lone"
	}
	return fmt.Sprintf("%s, %d members, %d turns, %d events, faults %.2f, tables %s, actors %s",
		kind, p.members, p.turns, p.events, p.rate, strings.Join(p.tables, " "), strings.Join(p.actors, " "))
}

func (p *plan) hasTable(name string) bool { return slices.Contains(p.tables, name) }
