// Command demo shows Tokenwright's main job on real input: it starts etcd and an API server, installs the chart's
// objects, runs the manager and two servers under their own ServiceAccounts' rights, starts a stock registry, and drives
// a stock client through it. It exits with 0 only if every step holds.
//
// It owns the scenario and the processes; what is installed comes from charts/tokenwright and config/samples.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenwright/tokenwright/test/stage"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything running at the end, until Ctrl-C")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard())
	if err := run(*keep); err != nil {
		fmt.Fprintln(os.Stderr, "\nThe demo failed:", err)
		os.Exit(1)
	}
}

func run(keep bool) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	all, err := stage.NewTokenwright("demo")
	if err != nil {
		return err
	}
	all.UMA = true
	d := &demo{Tokenwright: all, out: os.Stdout}
	defer func() {
		if err != nil {
			d.Processes.PrintLogs(os.Stderr)
		}
		d.gallery.close()
		err = errors.Join(err, d.Close())
	}()
	if err := d.setUp(ctx); err != nil {
		return err
	}
	err = d.show(ctx)
	if keep && ctx.Err() == nil {
		err = errors.Join(err, d.keepRunning(ctx))
	}
	return err
}

// demo is all that runs.
type demo struct {
	*stage.Tokenwright
	out io.Writer

	registry        string // host:port
	registryProcess *stage.Process
	gallery         *gallery
	passwords       map[string]string
	checks          int
	failed          int
}
