package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func serve(t *testing.T, handle http.HandlerFunc) Target {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return Target{Address: strings.TrimPrefix(server.URL, "http://"), Path: "/token?service=a", Authorization: "Basic eA=="}
}

func TestEveryAnswerIsCounted(t *testing.T) {
	var answered atomic.Int64
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("service") != "a" || r.Header.Get("Authorization") != "Basic eA==" {
			t.Errorf("asked for %s with %q", r.URL, r.Header)
		}
		answered.Add(1)
		w.Write([]byte(strings.Repeat("x", 1000))) //nolint:errcheck // the client counts what came
	})
	result, err := Run(context.Background(), target, 3, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(result.Requests); got == 0 || got != answered.Load() || len(result.Latencies) != result.Requests {
		t.Errorf("counted %d and %d latencies, the server answered %d", got, len(result.Latencies), answered.Load())
	}
	if result.Quantile(0) > result.Quantile(0.5) || result.Quantile(0.5) > result.Quantile(1) || result.Quantile(0) <= 0 {
		t.Errorf("the latencies are not sorted: %v", result.Latencies[:min(5, len(result.Latencies))])
	}
	body, err := Body(target)
	if err != nil || len(body) != 1000 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

func TestWhatIsNotAnAnswerEndsTheRun(t *testing.T) {
	cases := map[string]struct {
		reason string
		handle http.HandlerFunc
		want   string
	}{
		"a refusal": {
			reason: "a server that refuses is faster than one that signs",
			handle: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
			want:   "503",
		},
		"an answer without a length": {
			reason: "where it ends cannot be known",
			handle: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
			want:   "Content-Length",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Run(context.Background(), serve(t, c.handle), 1, time.Minute)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
			}
		})
	}
}
