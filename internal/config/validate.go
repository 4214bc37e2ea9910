package config

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// The bounds of kafka.session_timeout. Brokers have narrower ones, which are theirs to say: 6 s to 30 min by default.
const (
	shortestSession = time.Second
	longestSession  = time.Hour
)

// validate checks what the types do not: forms, ranges, choices and contradictions.
func (f *faults) validate(c *Config) {
	f.positive("grace_period", int64(c.GracePeriod.Duration))
	f.kafka(&c.Kafka)
	f.registry(&c.Registry)
	f.catalog(&c.Catalog)
	f.aws(&c.AWS, c)
	f.options("defaults", &c.Defaults)
	f.allTables(c)
	f.formats(c)
	f.positive("memory.batches", int64(c.Memory.Batches))
	f.positive("memory.index", int64(c.Memory.Index))
	f.memory(c)
	f.address("admin.listen", c.Admin.Listen, 0)
	f.choice("maintenance.mode", c.Maintenance.Mode, []string{"internal"}, "external")
	f.choice("log.level", c.Log.Level, []string{"debug", "info", "warn", "error"})
	f.choice("log.format", c.Log.Format, []string{"json", "text"})
}

func (f *faults) kafka(k *Kafka) {
	if len(k.Brokers) == 0 {
		f.addf("kafka.brokers", `is missing: write brokers = ["host:port"] into [kafka]`)
	}
	for i, broker := range k.Brokers {
		at := element("kafka.brokers", i)
		f.address(at, broker, 1)
		if host, _, _ := net.SplitHostPort(broker); host == "" {
			f.addf(at, `is %q, which has no host: write "host:port"`, broker)
		}
		if slices.Index(k.Brokers, broker) < i {
			f.addf(at, "is %q once more: remove it", broker)
		}
	}
	if k.Group == "" {
		f.addf("kafka.group", "is empty: write the name of a consumer group that only this deployment uses")
	}
	if k.ClientID == "" {
		f.addf("kafka.client_id", "is empty: write a name by which the brokers' logs and quotas know cdcd")
	}
	if d := k.SessionTimeout.Duration; d < shortestSession || d > longestSession {
		f.addf("kafka.session_timeout", "is %s: write a time from %s to %s, within the brokers' own limits, "+
			"group.min.session.timeout.ms and group.max.session.timeout.ms", d, shortestSession, longestSession)
	}
	f.tls("kafka.tls", k.TLS)
	f.sasl(k.SASL)
}

func (f *faults) tls(path string, t *TLS) {
	if t == nil {
		return
	}
	if t.CA != "" {
		if _, err := readAuthorities(t.CA); err != nil {
			f.add(path+".ca", path+".ca: "+err.Error())
		}
	}
	switch {
	case t.Cert != "" && t.Key == "":
		f.addf(path+".cert", "has no key: write %s.key, the path of the certificate's private key", path)
	case t.Cert == "" && t.Key != "":
		f.addf(path+".key", "has no certificate: write %s.cert, the path of the key's certificate", path)
	case t.Cert != "":
		if _, err := readPair(t.Cert, t.Key); err != nil {
			f.add(path+".cert", path+".cert: "+err.Error())
		}
	}
}

func (f *faults) sasl(s *SASL) {
	if s == nil {
		return
	}
	if s.Mechanism == "" && !f.set("kafka.sasl.mechanism") {
		f.addf("kafka.sasl.mechanism", `is missing: write "scram-sha-512", "scram-sha-256" or "plain"`)
	}
	f.choice("kafka.sasl.mechanism", s.Mechanism, []string{"scram-sha-512", "scram-sha-256", "plain"}, "aws-msk-iam")
	if s.Username == "" {
		f.addf("kafka.sasl.username", "is missing: write the name to log in with")
	}
	if s.Password.Reveal() == "" {
		f.addf("kafka.sasl.password", "is missing: write %s", secretForm)
	}
}

// memory refuses a batch that would never be committed by its size: the budget would pause its partitions first (I7).
func (f *faults) memory(c *Config) {
	const remedy = "is %s and memory.batches is %s, so a batch could never grow that far: lower the one or raise the other"
	at := "memory.batches"
	if f.set("defaults.commit_bytes") {
		at = "defaults.commit_bytes"
	}
	if c.Defaults.CommitBytes > c.Memory.Batches {
		f.add(at, "defaults.commit_bytes "+fmt.Sprintf(remedy, c.Defaults.CommitBytes, c.Memory.Batches))
	}
	for i := range c.tables {
		at := element("table", i) + ".commit_bytes"
		if f.set(at) && c.tables[i].CommitBytes > c.Memory.Batches {
			f.addf(at, remedy, c.tables[i].CommitBytes, c.Memory.Batches)
		}
	}
}

// choice checks a value that has a fixed set. The later ones are in cdcd's design, and this version cannot honour them.
func (f *faults) choice(at, value string, supported []string, later ...string) {
	switch {
	case slices.Contains(supported, value):
	case slices.Contains(later, value):
		f.addf(at, "is %q, which is not supported by this version: write %s", value, enumerate(quoted(supported), "or"))
	default:
		f.addf(at, "is %q, which cdcd does not know: write %s", value, enumerate(quoted(supported), "or"))
	}
}

func (f *faults) positive(at string, value int64) {
	if value <= 0 {
		f.addf(at, "is zero: write more than that")
	}
}

// address checks a "host:port" with a numeric port from portMin up; the host may be empty.
func (f *faults) address(at, value string, portMin uint64) {
	host, port, err := net.SplitHostPort(value)
	number, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || errPort != nil || number < portMin || !regexp.MustCompile(`^[A-Za-z0-9._:%-]*$`).MatchString(host) {
		f.addf(at, `is %q: write "host:port" with a port from %d to 65535`, value, portMin)
	}
}
