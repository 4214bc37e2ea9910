package kafka

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rebalance plays one rebalance over the wire formats: what each member sends, what the leader decides, what each reads.
func rebalance(t *testing.T, members map[string]*balancer, generation int32, partitions map[string]int32, extra ...kmsg.JoinGroupResponseMember) map[string]map[string][]int32 {
	t.Helper()
	var leader *balancer
	var joins []kmsg.JoinGroupResponseMember
	for id, b := range members {
		leader = b
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.ProtocolMetadata = id, b.JoinGroupMetadata(nil, nil, generation)
		joins = append(joins, m)
	}
	joins = append(joins, extra...)
	g, _, err := leader.MemberBalancer(joins)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string][]int32{}
	for _, a := range g.Balance(partitions).IntoSyncAssignment() {
		b := members[a.MemberID]
		if b == nil {
			b = newBalancer(nil, slog.New(slog.DiscardHandler))
		}
		if got[a.MemberID], err = b.ParseSyncAssignment(a.MemberAssignment); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestBalancerAssignsAllPartitionsOfATable(t *testing.T) {
	tables := []Table{{"t1", []string{"b", "a", "b"}}, {"t2", []string{"c"}}, {"t3", []string{"missing"}}}
	members := map[string]*balancer{"m1": newBalancer(tables, slog.New(slog.DiscardHandler)), "m2": newBalancer(tables, slog.New(slog.DiscardHandler))}
	got := rebalance(t, members, 1, map[string]int32{"a": 2, "b": 1, "c": 3})
	want := map[string]map[string][]int32{"m1": {"a": {0, 1}, "b": {0}}, "m2": {"c": {0, 1, 2}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"t1", "t3"}, members["m1"].share()); diff != "" {
		t.Errorf("the table whose topic does not exist: %s", diff)
	}
	if diff := cmp.Diff([]string{"t2"}, members["m2"].share()); diff != "" {
		t.Error(diff)
	}
}

func TestBalancerIsStickyOverTheWire(t *testing.T) {
	tables := []Table{{"t1", []string{"a"}}, {"t2", []string{"b"}}}
	partitions := map[string]int32{"a": 1, "b": 1}
	second := newBalancer(tables, slog.New(slog.DiscardHandler))
	rebalance(t, map[string]*balancer{"z": second, "a": newBalancer(tables, slog.New(slog.DiscardHandler))}, 1, partitions)
	kept := second.share()
	for generation := range int32(3) {
		// Members with ids that sort before and after come and go.
		id := []string{"m", "zz", "b"}[generation]
		rebalance(t, map[string]*balancer{"z": second, id: newBalancer(tables, slog.New(slog.DiscardHandler))}, 2+generation, partitions)
		if !slices.Equal(kept, second.share()) {
			t.Fatalf("had %v, got %v beside member %s", kept, second.share(), id)
		}
	}
}

func TestUnreadableMemberGetsNothing(t *testing.T) {
	meta := func(userData string) []byte {
		m := kmsg.NewConsumerMemberMetadata()
		m.UserData = []byte(userData)
		return m.AppendTo(nil)
	}
	for name, metadata := range map[string][]byte{
		"no bytes":                nil,
		"cut off":                 meta(`{"v":1}`)[:5],
		"no user data":            meta(``),
		"no JSON":                 meta(`{"v":1,`),
		"other version":           meta(`{"v":2,"tables":[{"name":"t1","topics":["a"]}]}`),
		"table without a name":    meta(`{"v":1,"tables":[{"name":"","topics":["a"]}]}`),
		"table twice":             meta(`{"v":1,"tables":[{"name":"t1","topics":["a"]},{"name":"t1","topics":["b"]}]}`),
		"table without a topic":   meta(`{"v":1,"tables":[{"name":"t1","topics":[]}]}`),
		"wrong type":              meta(`{"v":1,"tables":"t1"}`),
		"generation out of range": meta(`{"v":1,"tables":[],"generation":99999999999}`),
	} {
		t.Run(name, func(t *testing.T) {
			bad := kmsg.NewJoinGroupResponseMember()
			bad.MemberID, bad.ProtocolMetadata = "bad", metadata
			good := newBalancer([]Table{{"t1", []string{"a"}}}, slog.New(slog.DiscardHandler))
			got := rebalance(t, map[string]*balancer{"good": good}, 1, map[string]int32{"a": 1}, bad)
			if diff := cmp.Diff(map[string]map[string][]int32{"good": {"a": {0}}, "bad": {}}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnreadableAssignmentIsAnError(t *testing.T) {
	assignment := kmsg.ConsumerMemberAssignment{UserData: []byte(`{"v":2}`)}
	b := newBalancer(nil, slog.New(slog.DiscardHandler))
	for name, data := range map[string][]byte{"cut off": {0}, "other version": assignment.AppendTo(nil), "no tables": new(kmsg.ConsumerMemberAssignment).AppendTo(nil)} {
		if _, err := b.ParseSyncAssignment(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := b.ParseSyncAssignment(nil); err != nil || len(got) > 0 {
		t.Errorf("nothing assigned: got %v, %v", got, err)
	}
}
