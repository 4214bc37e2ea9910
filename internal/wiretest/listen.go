package wiretest

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports of servers that choose their own: no system gives any of these to outgoing connections by itself (Linux begins at 32768, others
// at 49152).
const (
	portMin   = 10_000
	portsMore = 22_000
)

// Listen is net.Listen, but where the port is left open (0) it is one that no outgoing connection can hold: a server that was closed
// finds it free when it comes back.
func Listen(network, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" {
		return net.Listen(network, address)
	}
	var l net.Listener
	for range 20 {
		l, err = net.Listen(network, net.JoinHostPort(host, strconv.Itoa(portMin+rand.IntN(portsMore))))
		if err == nil {
			return l, nil
		}
	}
	return nil, err
}
