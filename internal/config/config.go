// Package config reads the TOML file into one struct, or says which lines are wrong.
//
// The loader is strict: a key that cdcd does not know, a value of the wrong type or form, values that contradict each
// other, and values that this version cannot honour are faults, and all of them are reported at once, each as
// file:line:column with a remedy. Nothing is ignored, and nothing is corrected in silence. Only cmd/cdcd sees a Config;
// all other packages take Options of their own.
package config

import (
	"log/slog"
	"slices"
	"time"

	"github.com/cdcd-project/cdcd/internal/invariant"
	"github.com/cdcd-project/cdcd/internal/row"
)

// Config is a whole configuration file. A relative path in it is relative to the working directory.
type Config struct {
	GracePeriod Duration     `toml:"grace_period"` // From SIGTERM until an open batch is dropped.
	Kafka       Kafka        `toml:"kafka"`
	Registry    Registry     `toml:"registry"`
	Catalog     Catalog      `toml:"catalog"`
	AWS         AWS          `toml:"aws"`
	Defaults    TableOptions `toml:"defaults"`
	Memory      Memory       `toml:"memory"`
	Admin       Admin        `toml:"admin"`
	Maintenance Maintenance  `toml:"maintenance"`
	Log         Log          `toml:"log"`

	tables []Table // Each with the defaults under it.
}

// Tables returns the tables in the file's order, each with the values of [defaults] where it sets none itself. A map or a
// nested table such as types or retain is inherited key by key. Names are unique; a topic may feed several tables.
func (c *Config) Tables() []Table { return slices.Clone(c.tables) }

// Kafka is the cluster to read from.
type Kafka struct {
	Brokers        []string `toml:"brokers"` // Required: host:port each.
	Group          string   `toml:"group"`
	ClientID       string   `toml:"client_id"`
	Rack           string   `toml:"rack"`            // Empty: fetch from leaders only.
	SessionTimeout Duration `toml:"session_timeout"` // How long the group waits for a silent member until its tables go to others.
	TLS            *TLS     `toml:"tls"`             // Nil: plain text.
	SASL           *SASL    `toml:"sasl"`            // Nil: no authentication.
}

// SASL authenticates cdcd to the brokers. All three are required.
type SASL struct {
	Mechanism string `toml:"mechanism"` // "scram-sha-512", "scram-sha-256" or "plain".
	Username  string `toml:"username"`
	Password  Secret `toml:"password"`
}

// Registry is the schema registry that records refer to.
type Registry struct {
	Type     string `toml:"type"` // "none", "confluent" or "glue".
	URL      string `toml:"url"`  // confluent: its address.
	Username string `toml:"username"`
	Password Secret `toml:"password"`
	Token    Secret `toml:"token"` // A bearer token in their place.
	TLS      *TLS   `toml:"tls"`   // Nil: the system's certificate authorities.
}

// Catalog is the Iceberg catalog and where it keeps new tables.
type Catalog struct {
	Type       string            `toml:"type"`       // "sql", "glue" or "rest".
	URI        string            `toml:"uri"`        // sql: "sqlite:///absolute/path" or "sqlite:relative/path". rest: "https://host/path". glue: none.
	Warehouse  string            `toml:"warehouse"`  // "file:///absolute/path" or "s3://bucket/prefix"; rest: the server's name of it, or empty.
	Credential Secret            `toml:"credential"` // rest: OAuth2 client credential.
	Token      Secret            `toml:"token"`      // rest: bearer token.
	Properties map[string]string `toml:"properties"` // Handed to the catalog as they are.
}

// AWS says how AWS is reached. Empty values leave it to the SDK's own chain.
type AWS struct {
	Region       string `toml:"region"`
	S3Endpoint   string `toml:"s3_endpoint"`
	GlueEndpoint string `toml:"glue_endpoint"`
	PathStyle    bool   `toml:"path_style"`
	KMSKeyID     string `toml:"kms_key_id"` // Objects are written with SSE-KMS and this key; "aws/s3" is the account's own key.
	RoleARN      string `toml:"role_arn"`   // The role to assume.
}

// TableOptions are the keys of [defaults], each of which a [[table]] may override.
type TableOptions struct {
	CommitInterval   Duration            `toml:"commit_interval"` // At most this long after a batch's first record.
	CommitBytes      Size                `toml:"commit_bytes"`    // Of decoded rows.
	Mode             string              `toml:"mode"`            // "upsert" or "changelog".
	OnBadRecord      string              `toml:"on_bad_record"`   // "quarantine" or "halt".
	BadRecordLimit   BadRecordLimit      `toml:"bad_record_limit"`
	OnSchemaConflict string              `toml:"on_schema_conflict"` // "halt" or "quarantine".
	Start            string              `toml:"start"`              // "complete" or "earliest".
	Format           string              `toml:"format"`             // "auto", "json", "avro-confluent" or "avro-glue".
	KeyFormat        string              `toml:"key_format"`         // The same of record keys; "": as format.
	PlainAvro        bool                `toml:"plain_avro"`         // Whether Avro schemas may lack what Kafka Connect says of types.
	DisjointKeys     bool                `toml:"disjoint_keys"`      // Whether no key comes from two of the source tables that a topic merges.
	FormatVersion    int                 `toml:"format_version"`
	TargetFileSize   Size                `toml:"target_file_size"`
	Retain           Retain              `toml:"retain"`
	Types            map[string]row.Type `toml:"types"` // Column name to type, for records that carry no schema.
	Decoder
}

// BadRecordLimit is how many records of one batch may go to quarantine before the table halts: the larger of a number and of a share of
// what the batch has consumed.
type BadRecordLimit struct {
	Records int `toml:"records"`
	Percent int `toml:"percent"`
}

// Retain says which snapshots survive: at most the newest Snapshots of them, and of these the ones younger than Age. The
// head always does. Each kept snapshot costs about 1 KB of metadata that every commit writes again.
type Retain struct {
	Snapshots int      `toml:"snapshots"`
	Age       Duration `toml:"age"`
}

// Table is one [[table]]: an Iceberg table and the topic that it mirrors.
type Table struct {
	Topic string   `toml:"topic"`
	Name  string   `toml:"name"` // "namespace.table".
	Key   []string `toml:"key"`  // Column names; nil: the fields of the record key.
	TableOptions
}

// Namespace returns the part of the name before the dot.
func (t Table) Namespace() string { namespace, _ := splitName(t.Name); return namespace }

// Table returns the part of the name after the dot.
func (t Table) Table() string { _, table := splitName(t.Name); return table }

// Memory is what cdcd may hold at once, over all tables (I7).
type Memory struct {
	Batches Size `toml:"batches"`
	Index   Size `toml:"index"`
}

// Admin is the HTTP server of metrics, health and profiles.
type Admin struct {
	Listen string `toml:"listen"` // host:port; an empty host means all addresses.
}

// Maintenance bounds what cdcd does to its tables beside writing rows.
type Maintenance struct {
	Mode   string `toml:"mode"`   // "internal".
	Delete bool   `toml:"delete"` // Whether objects that nothing refers to any more are deleted.
}

// Log is how cdcd logs to standard error.
type Log struct {
	Level  string `toml:"level"`  // "debug", "info", "warn" or "error".
	Format string `toml:"format"` // "json" or "text".
}

// SlogLevel returns the level as slog has it.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	invariant.Check(level.UnmarshalText([]byte(l.Level)) == nil, "config: log.level %q was not validated", l.Level)
	return level
}

// Default returns the configuration of an empty file. It is not complete: the brokers, the catalog's uri and warehouse
// and at least one table have no sensible default.
func Default() Config {
	return Config{
		GracePeriod: Duration{25 * time.Second},
		Kafka:       Kafka{Group: "cdcd", ClientID: "cdcd", SessionTimeout: Duration{45 * time.Second}},
		Registry:    Registry{Type: "none"},
		Catalog:     Catalog{Type: "sql"},
		Defaults: TableOptions{
			CommitInterval:   Duration{60 * time.Second},
			CommitBytes:      128 * MiB,
			Mode:             "upsert",
			OnBadRecord:      "quarantine",
			BadRecordLimit:   BadRecordLimit{Records: 100, Percent: 1},
			OnSchemaConflict: "halt",
			Start:            "complete",
			Format:           formatAuto,
			FormatVersion:    2,
			TargetFileSize:   128 * MiB,
			Retain:           Retain{Snapshots: 200, Age: Duration{24 * time.Hour}},
			Decoder:          defaultDecoder(),
		},
		Memory:      Memory{Batches: 512 * MiB, Index: 1 * GiB},
		Admin:       Admin{Listen: "127.0.0.1:9180"},
		Maintenance: Maintenance{Mode: "internal", Delete: true},
		Log:         Log{Level: "info", Format: "json"},
	}
}
