//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// length is how long keys rotate under load. Tokens live for a minute: with less than that none is used to its end.
var length = time.Minute + 15*time.Second

// interrupted ends with the first signal, so that what runs is stopped.
var interrupted context.Context

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	if text := os.Getenv("E2E_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 70*time.Second {
			fmt.Fprintf(os.Stderr, "E2E_TIME must be a duration of at least 70s, such as 5m, not %q\n", text)
			os.Exit(2)
		}
		length = d
	}
	var stop context.CancelFunc
	interrupted, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := m.Run()
	stop()
	os.Exit(code)
}

// within is a context that ends with the test run's time, early enough for what runs to be stopped.
func within(t *testing.T) context.Context {
	t.Helper()
	deadline, ok := t.Deadline()
	if !ok {
		deadline = time.Now().Add(length + 10*time.Minute)
	}
	ctx, cancel := context.WithDeadline(interrupted, deadline.Add(-30*time.Second))
	t.Cleanup(cancel)
	return ctx
}
