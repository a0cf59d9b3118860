package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// pullLoop pulls, one after the other, until it is stopped, and remembers the first failure.
type pullLoop struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup
	pulls  int
	failed int
	first  error
}

func startPullLoop(ctx context.Context, client *crane, image string) *pullLoop {
	ctx, cancel := context.WithCancel(ctx)
	l := &pullLoop{cancel: cancel}
	l.wait.Go(func() {
		for ctx.Err() == nil {
			// A pull that has begun may end: cancelling it would look like a refusal.
			err := client.pull(context.WithoutCancel(ctx), image)
			l.pulls++
			if err != nil {
				l.failed++
				l.first = errors.Join(l.first, err)
				if l.failed > 3 {
					return
				}
			}
		}
	})
	return l
}

// stop ends the loop, and fails if a pull failed or too few were made.
func (l *pullLoop) stop(atLeast int) error {
	l.cancel()
	l.wait.Wait()
	if l.failed > 0 {
		return fmt.Errorf("%d of %d pulls failed: %w", l.failed, l.pulls, l.first)
	}
	if l.pulls < atLeast {
		return fmt.Errorf("only %d pulls were made, which shows nothing", l.pulls)
	}
	return nil
}

func (d *demo) rotateTwice(ctx context.Context, p people) (err error) {
	loop := startPullLoop(ctx, p.alice, "team-a/app:v1")
	defer func() { err = errors.Join(err, loop.stop(10)) }()
	seen := map[string]bool{}
	for _, request := range []string{"", "demo-1", "demo-2"} {
		if request != "" {
			if _, err := d.Cluster.Kubectl(ctx, "annotate", "signingkey/registry", "--namespace="+stage.SystemNamespace,
				"--overwrite", "tokenwright.dev/rotate="+request); err != nil {
				return err
			}
		}
		if err := stage.Eventually(ctx, time.Minute, func() error { return d.signsAnew(ctx, seen) }); err != nil {
			return err
		}
	}
	// Tokens of the last key are used for a moment before the count is taken.
	time.Sleep(time.Second)
	if n := d.registryProcess.Restarts(); n != 0 {
		return fmt.Errorf("the registry was restarted %d times", n)
	}
	return nil
}

// signsAnew succeeds when both servers sign with one key that was not seen before.
func (d *demo) signsAnew(ctx context.Context, seen map[string]bool) error {
	var ids [2]string
	for i, server := range d.URLs() {
		a, err := d.ask(ctx, server, "", "", "public/hello", "pull")
		if err != nil {
			return err
		}
		if a.Status != http.StatusOK {
			return fmt.Errorf("answered with %d", a.Status)
		}
		ids[i] = a.keyID()
	}
	if ids[0] != ids[1] || ids[0] == "" || seen[ids[0]] {
		return fmt.Errorf("the servers sign with %s", strings.Join(ids[:], " and "))
	}
	seen[ids[0]] = true
	return nil
}

func (d *demo) killOne(ctx context.Context, p people) error {
	for i, victim := range d.Servers {
		victim.Kill()
		err := errors.Join(
			p.alice.pull(ctx, "team-a/app:v1"), p.anonymous.pull(ctx, "public/hello:v1"), p.alice.push(ctx, "team-a/app:v3"))
		victim.Release()
		if err != nil {
			return fmt.Errorf("without server %d: %w", i+1, err)
		}
		if err := stage.Eventually(ctx, time.Minute, func() error {
			a, err := d.ask(ctx, d.Servers[i].URL, "alice", d.passwords["alice"], "team-a/app", "pull")
			if err == nil && !a.may("team-a/app", "pull") {
				err = fmt.Errorf("server %d is back but answers with status %d", i+1, a.Status)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) survivesOutage(ctx context.Context, p people) error {
	// What a server has never decided it need not decide during an outage.
	for _, server := range d.URLs() {
		if err := d.tokensCome(ctx, server, p); err != nil {
			return fmt.Errorf("before the outage: %w", err)
		}
	}
	asked := 0
	err := d.Cluster.Outage(ctx, 30*time.Second, func() error {
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
			for _, server := range d.URLs() {
				if err := d.tokensCome(ctx, server, p); err != nil {
					return fmt.Errorf("%s, %.0f s before the end of the outage: %w", server, time.Until(end).Seconds(), err)
				}
				asked++
			}
		}
		return errors.Join(p.alice.push(ctx, "team-a/app:v4"), p.anonymous.pull(ctx, "public/hello:v1"))
	})
	if err == nil && asked < 20 {
		err = fmt.Errorf("only %d rounds were made, which shows nothing", asked)
	}
	return err
}

func (d *demo) tokensCome(ctx context.Context, server string, p people) error {
	for _, c := range []struct{ user, password, repository, action string }{
		{"", "", "public/hello", "pull"},
		{"alice", d.passwords["alice"], "team-a/app", "push"},
		{"ci", p.robotToken, "team-a/ci", "push"},
	} {
		a, err := d.ask(ctx, server, c.user, c.password, c.repository, c.action)
		if err != nil {
			return err
		}
		if !a.may(c.repository, c.action) {
			return fmt.Errorf("%q gets status %d and not %s of %s", c.user, a.Status, c.action, c.repository)
		}
	}
	return nil
}
