package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/cdcd-project/cdcd/internal/bookmark"
)

// joined is one member that runs Join and remembers what it owns.
type joined struct {
	leave func()

	mu      sync.Mutex
	owned   []string
	history [][]string
}

func join(t *testing.T, c *Client, tables ...Table) *joined {
	t.Helper()
	j := &joined{}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Join(ctx, tables, j.own); err != nil {
			t.Errorf("Join: %v", err)
		}
	})
	j.leave = func() { cancel(); wg.Wait() }
	t.Cleanup(j.leave)
	return j
}

func (j *joined) own(_ context.Context, tables []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.owned = tables
	j.history = append(j.history, tables)
}

func (j *joined) tables() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.owned)
}

func (j *joined) await(t *testing.T, tables ...string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !slices.Equal(j.tables(), tables) {
		if time.Now().After(deadline) {
			t.Fatalf("owned %v, want %v", j.tables(), tables)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// settle waits until the members own all tables together, each at least least of them, and returns who has what.
func settle(t *testing.T, members []*joined, tables []Table, least int) [][]string {
	t.Helper()
	var want []string
	for _, table := range tables {
		want = append(want, table.Name)
	}
	slices.Sort(want)
	deadline := time.Now().Add(patience)
	for {
		var all []string
		var each [][]string
		enough := true
		for _, m := range members {
			owned := m.tables()
			all, each = append(all, owned...), append(each, owned)
			enough = enough && len(owned) >= least
		}
		slices.Sort(all)
		if enough && slices.Equal(all, want) {
			return each
		}
		if time.Now().After(deadline) {
			t.Fatalf("members own %v, want %v and at least %d each", each, want, least)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func group(o *Options) { o.SessionTimeout, o.RebalanceTimeout = 2*time.Second, 10*time.Second }

func TestOneMemberOwnsEverythingAndNothingAfterLeaving(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(3, "a", "b"))
	j := join(t, open(t, cluster, group), Table{"ta", []string{"a"}}, Table{"tb", []string{"b"}})
	j.await(t, "ta", "tb")
	j.leave()
	if diff := cmp.Diff([][]string{{"ta", "tb"}, nil}, j.history); diff != "" {
		t.Error(diff)
	}
}

// A process counts as assigned from its first assignment on, even if others have all tables, and until its end.
func TestAssignedFromTheFirstAssignmentOn(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "a"))
	first, second := open(t, cluster, group), open(t, cluster, group)
	if first.Assigned() {
		t.Error("assigned before Join")
	}
	members := []*joined{join(t, first, Table{"ta", []string{"a"}}), join(t, second, Table{"ta", []string{"a"}})}
	deadline := time.Now().Add(patience)
	for !first.Assigned() || !second.Assigned() {
		if time.Now().After(deadline) {
			t.Fatalf("assigned are %t and %t", first.Assigned(), second.Assigned())
		}
		time.Sleep(5 * time.Millisecond)
	}
	members[0].leave()
	if !first.Assigned() {
		t.Error("not assigned any more after leaving")
	}
}

func TestTablesAreDisjointCompleteAndSticky(t *testing.T) {
	t.Parallel()
	var tables []Table
	var topics []string
	for i := range 6 {
		topic := fmt.Sprintf("topic%d", i)
		topics = append(topics, topic)
		tables = append(tables, Table{Name: fmt.Sprintf("t%d", i), Topics: []string{topic}})
	}
	cluster := newCluster(t, kfake.SeedTopics(3, topics...), kfake.NumBrokers(2))
	members := []*joined{join(t, open(t, cluster, group), tables...)}
	first := settle(t, members, tables, 6)

	members = append(members, join(t, open(t, cluster, group), tables...))
	second := settle(t, members, tables, 3)
	if !subset(second[0], first[0]) {
		t.Errorf("member 0 had %v and got %v", first[0], second[0])
	}
	members = append(members, join(t, open(t, cluster, group), tables...))
	third := settle(t, members, tables, 2)
	for i := range 2 {
		if !subset(third[i], second[i]) {
			t.Errorf("member %d had %v and got %v", i, second[i], third[i])
		}
	}
	members[1].leave()
	if owned := members[1].tables(); len(owned) > 0 {
		t.Errorf("a member that left owns %v", owned)
	}
	members = []*joined{members[0], members[2]}
	last := settle(t, members, tables, 3)
	if !subset(third[0], last[0]) || !subset(third[2], last[1]) {
		t.Errorf("members had %v and %v, and got %v", third[0], third[2], last)
	}
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// The group waits until the tables have stopped: no table ever has two owners while the group agrees.
func TestNextOwnerWaitsUntilTheLastOneHasStopped(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "a", "b"))
	var mu sync.Mutex
	running := map[string]int{}
	changes, overlap := 0, false
	slow := func(c *Client) func() {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var owned []string
		wg.Go(func() {
			err := c.Join(ctx, []Table{{"ta", []string{"a"}}, {"tb", []string{"b"}}}, func(_ context.Context, tables []string) {
				if !subset(owned, tables) {
					time.Sleep(300 * time.Millisecond) // Tables take their time to stop.
				}
				mu.Lock()
				defer mu.Unlock()
				changes++
				for _, table := range owned {
					running[table]--
				}
				owned = tables
				for _, table := range owned {
					running[table]++
					overlap = overlap || running[table] > 1
				}
			})
			if err != nil {
				t.Errorf("Join: %v", err)
			}
		})
		return func() { cancel(); wg.Wait() }
	}
	// A member that joins means three changes: one stops, both start. One that leaves means the same: both stop, one starts.
	awaitRunning := func(least int) {
		t.Helper()
		deadline := time.Now().Add(patience)
		for {
			mu.Lock()
			done := running["ta"] == 1 && running["tb"] == 1 && changes >= least
			mu.Unlock()
			if done {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the tables run %v times after %d changes", running, changes)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	leaveFirst := slow(open(t, cluster, group))
	awaitRunning(1)
	leaveSecond := slow(open(t, cluster, group))
	awaitRunning(4)
	leaveFirst()
	awaitRunning(7)
	leaveSecond()
	if overlap {
		t.Error("the table had two owners at once")
	}
}

func TestTableOfMissingTopicHasOneOwner(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "a"))
	tables := []Table{{"ta", []string{"a"}}, {"tmissing", []string{"missing"}}}
	settle(t, []*joined{join(t, open(t, cluster, group), tables...), join(t, open(t, cluster, group), tables...)}, tables, 1)
}

func TestCommitOffsetsTellsTheGroupOfHeldTopicsOnly(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "a", "left"))
	c := open(t, cluster, group)
	b := at("a", 0, 7)
	b.Set("left", "", bookmark.Partition{Partition: 0, Next: 3, Epoch: -1})
	c.CommitOffsets(b) // Before Join it does nothing.
	j := join(t, c, Table{"ta", []string{"a"}})
	j.await(t, "ta")
	c.CommitOffsets(b)
	j.leave() // What was told is sent before the member leaves.
	commits := cluster.GroupInfo("g").Commits
	if got := commits["a"][0].Offset; got != 7 {
		t.Errorf("committed %d, want 7", got)
	}
	if _, ok := commits["left"]; ok {
		t.Error("committed a topic that the member does not hold")
	}
}

func TestJoinIsRefusedWithoutGroupAndWhenJoined(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, "a"))
	nothing := func(context.Context, []string) {}
	if err := open(t, cluster, func(o *Options) { o.Group = "" }).Join(t.Context(), nil, nothing); err == nil {
		t.Error("Join without a group succeeded")
	}
	c := open(t, cluster, group)
	join(t, c, Table{"ta", []string{"a"}}).await(t, "ta")
	if err := c.Join(t.Context(), []Table{{"ta", []string{"a"}}}, nothing); err == nil {
		t.Error("Join twice succeeded")
	}
}

func TestIncompleteAssignmentLeavesTheTableAlone(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(3, "a"), kfake.SeedTopics(1, "b"))
	c := open(t, cluster)
	m := &member{client: c, balancer: newBalancer([]Table{{"ta", []string{"a"}}, {"tb", []string{"b"}}}, c.log)}
	got, err := m.complete(t.Context(), []string{"ta", "tb"}, map[string][]int32{"a": {0, 2}, "b": {0}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tb"}, got); diff != "" {
		t.Error(diff)
	}
}
