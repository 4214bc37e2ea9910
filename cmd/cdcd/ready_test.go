package main

import (
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A process is alive from its start, and ready as soon as the group has told it what it owns.
func TestReadyAfterTheFirstAssignment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, items("shop.item"))
	config := w.configure("ready", "20ms")
	_, port, err := net.SplitHostPort(w.cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	w.cluster.Close()

	p := w.run(config)
	p.await(1, says("retried broker connection", ""))
	if status, body := p.get("/healthz"); status != http.StatusOK {
		t.Errorf("without a broker, /healthz is %d %q", status, body)
	}
	if status, body := p.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "first assignment") {
		t.Errorf("without a broker, /readyz is %d %q", status, body)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	w.startBroker(number)
	eventually(t, "/readyz is 200", func() bool {
		status, _ := p.get("/readyz")
		return status == http.StatusOK
	})
	p.await(1, says("resumed from bookmark", "shop.item"))

	// A second member is ready too, although the first one keeps the only table.
	other := w.run(config)
	eventually(t, "/readyz of a member without a table is 200", func() bool {
		status, _ := other.get("/readyz")
		return status == http.StatusOK
	})
	w.cluster.Close()
	if status, body := p.get("/healthz"); status != http.StatusOK {
		t.Errorf("after the broker went away, /healthz is %d %q", status, body)
	}
	p.stop(syscall.SIGTERM)
	other.stop(syscall.SIGTERM)
}

// An address that is taken is known before anything is touched.
func TestTakenAdminAddressEndsTheProcess(t *testing.T) {
	w := newWorld(t, items("shop.item"))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text, err := os.ReadFile(w.configure("taken", "20ms"))
	if err != nil {
		t.Fatal(err)
	}
	config := w.write("taken.toml", strings.Replace(string(text), "127.0.0.1:0", taken.Addr().String(), 1))
	before := w.everything()
	code, _, log := command(t, "run", "-config", config)
	if code != exitFailed || !strings.Contains(log.text(), taken.Addr().String()) || !strings.Contains(log.text(), "admin.listen") {
		t.Errorf("exit code %d, standard error %q; want %d, the address and the key", code, log.text(), exitFailed)
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" || w.cluster.GroupInfo("taken") != nil {
		t.Errorf("something was touched; files (-before +after):\n%s", diff)
	}
}
