//go:build e2e

package clients

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// interrupted ends with the first signal, so that what runs is stopped.
var interrupted context.Context

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
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
		deadline = time.Now().Add(10 * time.Minute)
	}
	ctx, cancel := context.WithDeadline(interrupted, deadline.Add(-30*time.Second))
	t.Cleanup(cancel)
	return ctx
}
