package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// exposition is what a process answers to a scrape, in Prometheus's text format.
type exposition string

// metrics scrapes the process.
func (p *process) metrics() exposition {
	p.t.Helper()
	_, body := p.get("/metrics")
	return exposition(body)
}

// get asks the admin server of the process.
func (p *process) get(path string) (status int, body string) {
	p.t.Helper()
	admin := p.await(1, says("started", "")).Admin
	r, err := http.Get("http://" + admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

var sample = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)

// sum adds up the samples of a name.
func (e exposition) sum(name string) float64 {
	total := 0.0
	for l := range strings.Lines(string(e)) {
		if m := sample.FindStringSubmatch(strings.TrimSpace(l)); m != nil && m[1] == name {
			v, err := strconv.ParseFloat(m[3], 64)
			if err != nil {
				panic(err) // The format has only numbers there.
			}
			total += v
		}
	}
	return total
}

// families returns the metrics of cdcd itself by name, each as "type: labels".
func (e exposition) families() map[string]string {
	types, labels := map[string]string{}, map[string]map[string]bool{}
	for l := range strings.Lines(string(e)) {
		l = strings.TrimSpace(l)
		if words := strings.Fields(l); len(words) == 4 && words[1] == "TYPE" {
			types[words[2]] = words[3]
			continue
		}
		m := sample.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		name := m[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); types[base] == "histogram" {
				name = base
			}
		}
		if labels[name] == nil {
			labels[name] = map[string]bool{}
		}
		for _, label := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
			if label[1] != "le" {
				labels[name][label[1]] = true
			}
		}
	}
	families := map[string]string{}
	for name, kind := range types {
		if strings.HasPrefix(name, "cdcd_") {
			families[name] = fmt.Sprint(kind, ": ", slices.Sorted(maps.Keys(labels[name])))
		}
	}
	return families
}

// documented returns the same from docs/metrics.md.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]string{}
	for l := range strings.Lines(string(text)) {
		cells := strings.Split(l, "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`cdcd_") {
			continue
		}
		labels := []string{}
		for _, label := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[3], -1) {
			labels = append(labels, label[1])
		}
		slices.Sort(labels)
		families[strings.Trim(strings.TrimSpace(cells[1]), "`")] = fmt.Sprint(strings.TrimSpace(cells[2]), ": ", labels)
	}
	return families
}

// What a running process serves is what the documentation says, no more and no less, and Prometheus's linter agrees with
// the names.
func TestMetricsAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"), stock("shop.stock"))
	records := w.produce(17, 50)
	p := w.run(w.configure("metrics", "20ms"))
	eventually(t, "all records are committed", func() bool {
		m := p.metrics()
		return m.sum("cdcd_records_consumed_total") == float64(records) && m.sum("cdcd_buffered_rows") == 0 && m.sum("cdcd_last_commit_timestamp_seconds") > 0
	})
	served := p.metrics()
	if diff := cmp.Diff(documented(t), served.families()); diff != "" {
		t.Errorf("(-docs/metrics.md +served):\n%s", diff)
	}
	problems, err := promlint.New(strings.NewReader(string(served))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "cdcd_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	// Every record is accounted for (I6).
	if done := served.sum("cdcd_change_events_total") + served.sum("cdcd_records_ignored_total"); done != float64(records) {
		t.Errorf("%d records, of which %g are accounted for", records, done)
	}
	p.stop(syscall.SIGTERM)
}
