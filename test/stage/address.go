package stage

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports below those that kernels give to whoever asks for any (Linux: from 32,768): nobody else gets one between its being found
// and its being listened on.
const firstPort, ports = 20_000, 12_000

// given are the ports that were found, by this process: nobody may listen on one yet.
var given sync.Map

// FreeAddress is an address on loopback that nobody listened on a moment ago, and another one each time.
func FreeAddress() (string, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(ports)
		if _, before := given.LoadOrStore(port, true); before {
			continue
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			last = err
			continue
		}
		_ = l.Close()
		return address, nil
	}
	return "", fmt.Errorf("find a free port: %w", last)
}
