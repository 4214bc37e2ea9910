package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafka is one broker in KRaft mode: broker and controller in one process.
type kafka struct {
	ps     *processes
	java   []string // The command up to the class path.
	jars   string
	dir    string
	config string
	port   int
	proc   *process
}

// javaCommand returns the start of a java command with a bounded heap, at low priority.
func javaCommand(binary, heap string) []string {
	return []string{
		"nice", "-n", "10", binary, "-Xmx" + heap, "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-Djava.net.preferIPv4Stack=true",
	}
}

func startKafka(ctx context.Context, ps *processes, jars, dir string) (*kafka, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	k := &kafka{ps: ps, java: javaCommand("java", "512m"), jars: filepath.Join(jars, "*"), dir: filepath.Join(dir, "kafka"), port: ports[0]}
	k.config = filepath.Join(dir, "kafka.properties")
	if err := os.WriteFile(k.config, fmt.Appendf(nil, `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[1]s:%[3]d
listeners=PLAINTEXT://%[1]s:%[2]d,CONTROLLER://%[1]s:%[3]d
advertised.listeners=PLAINTEXT://%[1]s:%[2]d
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=%[4]s
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.enable=false
`, loopback, ports[0], ports[1], k.dir), 0o644); err != nil {
		return nil, err
	}
	argv := append(k.java, "-cp", k.jars, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c", k.config)
	if err := runQuietly(ctx, filepath.Join(ps.logs, "kafka-format.log"), nil, argv[3:]...); err != nil {
		return nil, err
	}
	return k, k.start(ctx)
}

// start starts the broker, also again after stop or kill.
func (k *kafka) start(ctx context.Context) error {
	var err error
	if k.proc, err = k.ps.start("kafka", nil, append(k.java, "-cp", k.jars, "kafka.Kafka", k.config)...); err != nil {
		return err
	}
	return k.proc.await(ctx, time.Minute, func(ctx context.Context) error {
		client, err := k.client()
		if err != nil {
			return fatal{err}
		}
		defer client.Close()
		_, err = kadm.NewClient(client).ListTopics(ctx)
		return err
	})
}

func (k *kafka) stop() error { return k.proc.stop(30 * time.Second) }

func (k *kafka) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address(k.port)), kgo.DialTimeout(2 * time.Second)}, opts...)...)
}

// ends returns the end offset of every partition of the topics that exist now.
func (k *kafka) ends(ctx context.Context, topics ...string) (map[string]map[int32]int64, error) {
	client, err := k.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	ends := map[string]map[int32]int64{}
	for topic, partitions := range listed {
		for p, o := range partitions {
			if o.Err != nil {
				return nil, fmt.Errorf("end of %s/%d: %w", topic, p, o.Err)
			}
			if ends[topic] == nil {
				ends[topic] = map[int32]int64{}
			}
			ends[topic][p] = o.Offset
		}
	}
	return ends, nil
}

// records reads topics from their beginning to their present ends, in offset order for each partition.
func (k *kafka) records(ctx context.Context, topics ...string) ([]*kgo.Record, error) {
	ends, err := k.ends(ctx, topics...)
	if err != nil {
		return nil, err
	}
	missing := 0
	for _, partitions := range ends {
		for p, end := range partitions {
			if end == 0 {
				delete(partitions, p)
				continue
			}
			missing++
		}
	}
	client, err := k.client(kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var out []*kgo.Record
	for missing > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end := ends[r.Topic][r.Partition]
			if r.Offset < end {
				out = append(out, r)
			}
			if r.Offset == end-1 {
				missing--
			}
		})
	}
	return out, nil
}

// lastChanges returns the offset of the last record of each partition that is not a tombstone; a tombstone alone may
// wait for its commit. A delete's tombstone follows it at once, so one of the last two records is a change.
func (k *kafka) lastChanges(ctx context.Context, topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ends, err := k.ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	starts, missing := map[int32]kgo.Offset{}, 0
	for p, end := range ends[topic] {
		if end > 0 {
			starts[p] = kgo.NewOffset().At(max(0, end-2))
			missing++
		}
	}
	client, err := k.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	last := map[int32]int64{}
	for missing > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("read the end of %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Value != nil {
				last[r.Partition] = r.Offset
			}
			if r.Offset == ends[topic][r.Partition]-1 {
				missing--
			}
		})
	}
	return last, nil
}
