package config

// The values of format, key_format and registry.type.
const (
	formatAuto      = "auto"
	formatJSON      = "json"
	formatConfluent = "avro-confluent"
	formatGlue      = "avro-glue"

	registryNone      = "none"
	registryConfluent = "confluent"
	registryGlue      = "glue"
)

// Formats returns the formats of a table's values and keys: formats that are "auto" are those of the registry.
func (c *Config) Formats(t Table) (value, key string) {
	resolve := func(format string) string {
		if format != formatAuto {
			return format
		}
		switch c.Registry.Type {
		case registryConfluent:
			return formatConfluent
		case registryGlue:
			return formatGlue
		}
		return formatJSON
	}
	value = resolve(t.Format)
	if t.KeyFormat == "" {
		return value, value
	}
	return value, resolve(t.KeyFormat)
}

func (f *faults) registry(r *Registry) {
	f.choice("registry.type", r.Type, []string{registryNone, registryConfluent, registryGlue})
	if r.Type != registryConfluent {
		for _, of := range []struct {
			key string
			set bool
		}{{"url", r.URL != ""}, {"username", r.Username != ""}, {"password", r.Password.Reveal() != ""}, {"token", r.Token.Reveal() != ""}, {"tls", r.TLS != nil}} {
			if of.set {
				f.addf(join("registry", of.key), `is for registry.type = "confluent" only: remove it`)
			}
		}
		return
	}
	switch {
	case r.URL == "":
		f.addf("registry.url", `is missing: write the registry's address, "https://host:port"`)
	case !webAddress(r.URL):
		f.addf("registry.url", `is not an address: write "https://host:port", without a user, which registry.username and registry.password are for`)
	}
	switch {
	case r.Username != "" && r.Password.Reveal() == "":
		f.addf("registry.password", "is missing: write %s", secretForm)
	case r.Username == "" && r.Password.Reveal() != "":
		f.addf("registry.username", "is missing: write the name that registry.password belongs to")
	case r.Username != "" && r.Token.Reveal() != "":
		f.addf("registry.token", "contradicts registry.username: write the one or the other")
	}
	f.tls("registry.tls", r.TLS)
}

// formats refuses formats whose registry is not the configured one.
func (f *faults) formats(c *Config) {
	section := func(at string, o *TableOptions) {
		for _, key := range []struct{ name, value string }{{"format", o.Format}, {"key_format", o.KeyFormat}} {
			at := at + "." + key.name
			if !f.set(at) || key.name == "key_format" && key.value == "" {
				continue
			}
			f.choice(at, key.value, []string{formatAuto, formatJSON, formatConfluent, formatGlue})
			needs := map[string]string{formatConfluent: registryConfluent, formatGlue: registryGlue}[key.value]
			if needs != "" && c.Registry.Type != needs {
				f.addf(at, "is %q, and registry.type is %q: write registry.type = %q, or another format", key.value, c.Registry.Type, needs)
			}
		}
	}
	section("defaults", &c.Defaults)
	for i := range c.tables {
		section(element("table", i), &c.tables[i].TableOptions)
	}
}
