package observe

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// away is the address of an API server that is not there, and can be brought back.
type away struct {
	address string
	dials   atomic.Int64
	// missed is closed when it was dialled several times in vain.
	missed chan struct{}
}

// patience is how often it is dialled before it comes back. Who waits twice as long each time, as informers do, needs more
// than the deadline for it.
const patience = 7

func newAway(t *testing.T) *away {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return &away{address: listener.Addr().String(), missed: make(chan struct{})}
}

func (a *away) transport() http.RoundTripper {
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if a.dials.Add(1) == patience {
			close(a.missed)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
}

func (a *away) comesBack(t *testing.T, handler http.Handler) {
	t.Helper()
	listener, err := net.Listen("tcp", a.address)
	if err != nil {
		t.Error(err)
		return
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

func TestReadsAreSentAgainUntilTheAPIServerIsBack(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	var lost, found atomic.Int64
	client := http.Client{Transport: Patient(func(error) { lost.Add(1) }, func() { found.Add(1) })(a.transport())}
	go func() {
		select {
		case <-a.missed:
		case <-t.Context().Done():
			return
		}
		a.comesBack(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.address+"/apis?watch=true", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	answer, err := client.Do(request)
	if err != nil {
		t.Fatalf("after %d attempts: %v", a.dials.Load(), err)
	}
	_ = answer.Body.Close()
	if least := (patience - 1) * retryEvery; time.Since(began) < least {
		t.Errorf("%d attempts within %s: an API server that is down must not be stormed", a.dials.Load(), time.Since(began))
	}
	if lost.Load() != 1 || found.Load() != 1 {
		t.Errorf("told %d times that it was lost and %d times that it was found, want once each", lost.Load(), found.Load())
	}
}

func TestWhatIsNotSentAgain(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	cases := map[string]struct {
		reason, method string
		ctx            context.Context
		most           int64
	}{
		"a write":               {reason: "it could be done twice", method: http.MethodPost, ctx: t.Context(), most: 1},
		"a change":              {reason: "as above", method: http.MethodPut, ctx: t.Context(), most: 1},
		"a read that has ended": {reason: "nobody waits for it", method: http.MethodGet, ctx: ended, most: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAway(t)
			client := http.Client{Transport: Patient(func(error) {}, func() {})(a.transport())}
			request, err := http.NewRequestWithContext(c.ctx, c.method, "http://"+a.address, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if answer, err := client.Do(request); err == nil {
				_ = answer.Body.Close()
				t.Fatal("a server that is not there answered")
			}
			if got := a.dials.Load(); got > c.most {
				t.Errorf("%s: sent %d times", c.reason, got)
			}
		})
	}
}
