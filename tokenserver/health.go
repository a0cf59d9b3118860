package tokenserver

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health are the paths of the second listener. It is not meant to be reached from outside the cluster.
func (s *server) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, s.healthy()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.ready(); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.Registry, promhttp.HandlerOpts{Registry: s.metrics.Registry}))
	return mux
}

// healthy is what a person reads of a server that works. What a restart would make worse does not make it unhealthy.
func (s *server) healthy() string {
	if s.parts.Condition != nil {
		if err := s.parts.Condition(); err != nil {
			return "ok, but: " + err.Error()
		}
	}
	return "ok"
}

// ready says why requests should go elsewhere.
func (s *server) ready() error {
	if s.draining.Load() {
		return fmt.Errorf("shutting down")
	}
	return s.seen()
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text) //nolint:errcheck // the prober has gone; there is nobody left to tell
}
