// Command bench measures what docs/performance.md tells, each figure as a ratio to a limit of the same run, and writes
// bin/bench.json. It owns the scenarios and what is compared with what; the load and the limit are packages beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

type options struct {
	only     string
	rounds   int
	each     time.Duration
	policies int
	records  int
	changes  int
	revoked  int
	uma      struct{ resources, requests, uses int }
	out      string
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "cluster, records, revocation, uma, throughput or rotation; empty: all")
	flag.IntVar(&o.rounds, "rounds", 40, "rounds in which two servers are asked in turn")
	flag.DurationVar(&o.each, "each", 400*time.Millisecond, "how long one server is asked in a round")
	flag.IntVar(&o.policies, "policies", manyPolicies, "policies on the API server")
	flag.IntVar(&o.records, "records", 100_000, "records of refresh tokens on the API server")
	flag.IntVar(&o.changes, "changes", 200, "policies that are created and deleted to measure when they take effect")
	flag.IntVar(&o.revoked, "revocations", 1000, "refresh tokens that are revoked to measure when another server refuses them")
	flag.IntVar(&o.uma.resources, "resources", 10_000, "protected resources on the API server")
	flag.IntVar(&o.uma.requests, "requests", 200, "requests for permissions of each sort, in each of five rounds")
	flag.IntVar(&o.uma.uses, "tickets", 2000, "permission tickets that are exchanged")
	flag.StringVar(&o.out, "out", filepath.Join(controlplane.Root(), "bin", "bench.json"), "file for the report")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard())
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "tokenwright-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	report := &Report{Machine: thisMachine()}
	add := func(c Case) {
		report.Cases = append(report.Cases, c)
		say("%s: %g %s", c.Name, c.Value, c.Unit)
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, string, func(Case)) error
	}{
		{"cluster", o.cluster}, {"records", o.onRecords}, {"revocation", o.onRevocation}, {"uma", o.onUMA}, {"throughput", o.throughput}, {"rotation", o.rotation},
	} {
		if o.only != "" && o.only != part.name {
			continue
		}
		say("Measure %s", part.name)
		folder := filepath.Join(dir, part.name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
		if err := part.run(ctx, folder, add); err != nil {
			return fmt.Errorf("measure %s: %w", part.name, err)
		}
	}
	if err := report.print(os.Stdout); err != nil {
		return err
	}
	return report.write(o.out)
}

func (o options) cluster(ctx context.Context, dir string, add func(Case)) error {
	c := &onCluster{dir: dir, policies: o.policies, changes: o.changes, log: say}
	return c.run(ctx, add)
}

func (o options) onRecords(ctx context.Context, dir string, add func(Case)) error {
	c := &onRecords{onCluster: onCluster{dir: dir, log: say}, records: o.records}
	return c.run(ctx, add)
}

func (o options) onRevocation(ctx context.Context, dir string, add func(Case)) error {
	c := &onRevocation{onCluster: onCluster{dir: dir, log: say}, revocations: o.revoked}
	return c.run(ctx, add)
}

func (o options) onUMA(ctx context.Context, dir string, add func(Case)) error {
	c := &onUMA{
		onCluster: onCluster{dir: dir, log: say}, resources: o.uma.resources, requests: o.uma.requests, uses: o.uma.uses,
	}
	return c.run(ctx, add)
}

func (o options) throughput(ctx context.Context, dir string, add func(Case)) error {
	core, err := apart()
	if err != nil {
		return err
	}
	t := &throughput{dir: dir, core: core, rounds: o.rounds, each: o.each}
	return t.run(ctx, add)
}

func (o options) rotation(ctx context.Context, dir string, add func(Case)) error {
	core, err := apart()
	if err != nil {
		return err
	}
	r := &rotation{dir: dir, core: core, rotations: 2}
	return r.run(ctx, add)
}

// apart keeps this process on one core and returns another for what is measured, if there are two. It is called again
// by those who come later, who find one core only: the first one's answer holds.
var apart = sync.OnceValues(func() (int, error) {
	list := cores()
	if len(list) < 2 {
		say("Processes are not pinned: there are not two cores that can be chosen")
		return anyCore, nil
	}
	return list[0], pinSelf(list[1])
})

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
