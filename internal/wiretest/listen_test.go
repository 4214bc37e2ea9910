package wiretest_test

import (
	"net"
	"testing"

	"github.com/cdcd-project/cdcd/internal/wiretest"
)

func TestListenKeepsClearOfOutgoingConnections(t *testing.T) {
	for range 50 {
		l, err := wiretest.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := l.Addr().(*net.TCPAddr)
		if !at.IP.IsLoopback() || at.Port < 10_000 || at.Port >= 32_768 {
			t.Errorf("listens at %s", at)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := wiretest.Listen("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		if again.Addr().String() != at.String() {
			t.Errorf("listens at %s, want %s", again.Addr(), at)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
