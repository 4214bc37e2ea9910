package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocolName names the balancer in the group protocol. Members with another one cannot join the same group.
const protocolName = "cdcd-v1"

// planVersion is the version of plan's and share's JSON forms. A member of another version gets nothing.
const planVersion = 1

// Table is one table's plan as it travels in the join metadata.
type Table struct {
	Name   string   `json:"name"`
	Topics []string `json:"topics"` // Sorted, without duplicates.
}

// plan is the user data of a member's join metadata.
type plan struct {
	Version    int      `json:"v"`
	Tables     []Table  `json:"tables"`
	Owned      []string `json:"owned,omitempty"` // The tables of the last assignment.
	Generation int32    `json:"generation"`      // The generation of that assignment, or -1.
}

// share is the user data of a member's assignment. It names the tables, because a table whose topics do not exist yet
// has no partitions that could stand for it, and still needs one member that reports so.
type share struct {
	Version int      `json:"v"`
	Tables  []string `json:"tables"`
}

// balancer is an eager, sticky kgo.GroupBalancer that assigns whole components of tables and topics.
type balancer struct {
	tables []Table
	log    *slog.Logger

	mu         sync.Mutex
	generation int32    // Of the join under way, or the last one.
	assigned   []string // The tables of the last assignment.
}

var _ kgo.GroupBalancer = (*balancer)(nil)

func newBalancer(tables []Table, log *slog.Logger) *balancer {
	tables = slices.Clone(tables)
	for i, t := range tables {
		t.Topics = slices.Compact(slices.Sorted(slices.Values(t.Topics)))
		tables[i] = t
	}
	return &balancer{tables: tables, log: log, generation: -1}
}

// ProtocolName implements kgo.GroupBalancer.
func (*balancer) ProtocolName() string { return protocolName }

// IsCooperative implements kgo.GroupBalancer: the protocol is eager, so that no table ever runs in two places while
// the group agrees.
func (*balancer) IsCooperative() bool { return false }

// JoinGroupMetadata implements kgo.GroupBalancer. What was owned is known from the last assignment: kgo forgets the
// current one whenever an eager member revokes.
func (b *balancer) JoinGroupMetadata(topics []string, _ map[string][]int32, generation int32) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := plan{Version: planVersion, Tables: b.tables, Owned: b.assigned, Generation: generation}
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // Strings and integers always marshal.
	}
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = topics
	meta.UserData = data
	return meta.AppendTo(nil)
}

// ParseSyncAssignment implements kgo.GroupBalancer.
func (b *balancer) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	partitions := map[string][]int32{}
	var s share
	if len(assignment) > 0 { // A member that the leader knew nothing about gets no bytes at all.
		var a kmsg.ConsumerMemberAssignment
		if err := a.ReadFrom(assignment); err != nil {
			return nil, fmt.Errorf("parse assignment: %w", err)
		}
		if err := json.Unmarshal(a.UserData, &s); err != nil {
			return nil, fmt.Errorf("parse tables of assignment: %w", err)
		}
		if s.Version != planVersion {
			return nil, fmt.Errorf("parse tables of assignment: version %d is not %d", s.Version, planVersion)
		}
		for _, t := range a.Topics {
			partitions[t.Topic] = t.Partitions
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.assigned = s.Tables
	return partitions, nil
}

// share returns the tables of the last assignment.
func (b *balancer) share() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.assigned)
}

// topicsOf returns the topics of one of the member's own tables.
func (b *balancer) topicsOf(table string) []string {
	for _, t := range b.tables {
		if t.Name == table {
			return t.Topics
		}
	}
	return nil
}

// MemberBalancer implements kgo.GroupBalancer. A member whose metadata cannot be read gets nothing; the others go on.
func (b *balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	g := &generation{log: b.log}
	topics := map[string]struct{}{}
	for _, m := range members {
		g.members = append(g.members, m.MemberID)
		d, err := declared(m)
		if err != nil {
			b.log.Warn("left out group member with unreadable metadata", "member", m.MemberID, "err", err)
			continue
		}
		g.declarations = append(g.declarations, d)
		for _, of := range d.tables {
			for _, topic := range of {
				topics[topic] = struct{}{}
			}
		}
	}
	return g, topics, nil
}

// declared reads one member's join metadata.
func declared(m kmsg.JoinGroupResponseMember) (declaration, error) {
	var meta kmsg.ConsumerMemberMetadata
	if err := meta.ReadFrom(m.ProtocolMetadata); err != nil {
		return declaration{}, fmt.Errorf("parse metadata: %w", err)
	}
	var p plan
	if err := json.Unmarshal(meta.UserData, &p); err != nil {
		return declaration{}, fmt.Errorf("parse plan: %w", err)
	}
	if p.Version != planVersion {
		return declaration{}, fmt.Errorf("plan of version %d, not %d", p.Version, planVersion)
	}
	d := declaration{member: m.MemberID, tables: make(map[string][]string, len(p.Tables)), owned: p.Owned, generation: p.Generation}
	for _, t := range p.Tables {
		switch _, twice := d.tables[t.Name]; {
		case t.Name == "":
			return declaration{}, errors.New("a table without a name")
		case twice:
			return declaration{}, fmt.Errorf("table %s twice", t.Name)
		case len(t.Topics) == 0:
			return declaration{}, fmt.Errorf("table %s has no topics", t.Name)
		}
		d.tables[t.Name] = slices.Compact(slices.Sorted(slices.Values(t.Topics)))
	}
	return d, nil
}

// generation is one rebalance, seen by the group's leader.
type generation struct {
	log          *slog.Logger
	members      []string
	declarations []declaration
}

// Balance implements kgo.GroupMemberBalancer. A topic without partitions is one that does not exist.
func (g *generation) Balance(partitions map[string]int32) kgo.IntoSyncAssignment {
	assigned, waiting := assign(g.declarations)
	if len(waiting) > 0 {
		g.log.Warn("left tables without an owner, because the group's members declare them differently", "tables", waiting)
	}
	topics := map[string]map[string]struct{}{}
	for _, d := range g.declarations {
		topics[d.member] = map[string]struct{}{}
		for _, table := range assigned[d.member] {
			for _, topic := range d.tables[table] {
				topics[d.member][topic] = struct{}{}
			}
		}
	}
	var s assignments
	for _, member := range g.members {
		s = append(s, assignmentOf(member, assigned[member], topics[member], partitions))
	}
	return s
}

func assignmentOf(member string, tables []string, topics map[string]struct{}, partitions map[string]int32) kmsg.SyncGroupRequestGroupAssignment {
	data, err := json.Marshal(share{Version: planVersion, Tables: tables})
	if err != nil {
		panic(err) // Strings and integers always marshal.
	}
	assignment := kmsg.ConsumerMemberAssignment{UserData: data}
	names := make([]string, 0, len(topics))
	for topic := range topics {
		names = append(names, topic)
	}
	slices.Sort(names)
	for _, topic := range names {
		if partitions[topic] == 0 {
			continue
		}
		t := kmsg.NewConsumerMemberAssignmentTopic()
		t.Topic = topic
		for p := range partitions[topic] {
			t.Partitions = append(t.Partitions, p)
		}
		assignment.Topics = append(assignment.Topics, t)
	}
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID = member
	a.MemberAssignment = assignment.AppendTo(nil)
	return a
}

// assignments is what the leader sends in its SyncGroup request.
type assignments []kmsg.SyncGroupRequestGroupAssignment

// IntoSyncAssignment implements kgo.IntoSyncAssignment.
func (s assignments) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment { return s }
