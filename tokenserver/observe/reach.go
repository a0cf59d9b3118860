package observe

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// retryEvery is about how often an API server that cannot be reached is tried again, by each list and watch.
const retryEvery = time.Second

// patient tries again while no connection can be made. Informers would do so too, but wait ever longer, up to a minute:
// a policy that was taken away during a short outage would stay in force for as long after it. The requests are lists
// and watches, which do nothing when sent twice.
type patient struct {
	next http.RoundTripper
	away *atomic.Bool
	// lost and found are called when an outage begins and when it has ended.
	lost  func(error)
	found func()
}

// Patient wraps the transport of whoever else watches, such as the manager: reads are sent again about every second while
// no connection can be made, writes never are. The functions are called when an outage begins and when it has ended.
func Patient(lost func(error), found func()) func(http.RoundTripper) http.RoundTripper {
	away := new(atomic.Bool)
	return func(next http.RoundTripper) http.RoundTripper {
		return &patient{next: next, away: away, lost: lost, found: found}
	}
}

// RoundTrip implements http.RoundTripper.
func (p *patient) RoundTrip(request *http.Request) (*http.Response, error) {
	for {
		answer, err := p.next.RoundTrip(request)
		if err == nil {
			if p.away.CompareAndSwap(true, false) {
				p.found()
			}
			return answer, nil
		}
		if request.Method != http.MethodGet || !unreachable(err) || request.Context().Err() != nil {
			return nil, err
		}
		if p.away.CompareAndSwap(false, true) {
			p.lost(err)
		}
		jitter := time.Duration(rand.Int64N(int64(retryEvery / 2))) // spreads the load, and is no secret
		if !sleep(request.Context(), retryEvery+jitter) {
			return nil, err
		}
	}
}

// unreachable says whether an error means that no connection was made.
func unreachable(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}
