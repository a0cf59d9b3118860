package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// check is one thing that must hold.
type check struct {
	say string
	do  func(context.Context) error
}

// show runs every check, says its outcome, and fails if one does not hold.
func (d *demo) show(ctx context.Context) error {
	clients, err := d.logIn(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	fmt.Fprintln(d.out)
	for _, c := range d.scenario(clients) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.run(ctx, c)
	}
	fmt.Fprintf(d.out, "\n%d of %d steps hold, in %.0f s.\n", d.checks-d.failed, d.checks, time.Since(begin).Seconds())
	if d.failed > 0 {
		return fmt.Errorf("%d of %d steps do not hold", d.failed, d.checks)
	}
	return nil
}

func (d *demo) run(ctx context.Context, c check) {
	d.checks++
	begin := time.Now()
	if err := c.do(ctx); err != nil {
		d.failed++
		fmt.Fprintf(d.out, "%2d.  FAILED  %s\n            %v\n", d.checks, c.say, err)
		return
	}
	fmt.Fprintf(d.out, "%2d.  ok      %s (%.1f s)\n", d.checks, c.say, time.Since(begin).Seconds())
}

// people are the clients of the scenario.
type people struct {
	anonymous, alice, robot *crane
	robotToken              string
}

func (d *demo) logIn(ctx context.Context) (p people, err error) {
	p.robotToken, err = d.Cluster.Plane.ServiceAccountToken(ctx, "team-a", "ci", time.Hour, "tokenwright")
	if err != nil {
		return p, err
	}
	for _, c := range []struct {
		client               **crane
		name, user, password string
	}{
		{&p.anonymous, "anonymous", "", ""},
		{&p.alice, "alice", "alice", d.passwords["alice"]},
		{&p.robot, "robot", "ci", p.robotToken},
	} {
		if *c.client, err = d.client(c.name, c.user, c.password); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (d *demo) scenario(p people) []check {
	return slices.Concat(d.policies(p), d.umaWalk(), d.faults(p))
}

// policies are what registries' clients may do, and who says so.
func (d *demo) policies(p people) []check {
	return []check{
		{"anybody pulls public/hello", func(ctx context.Context) error { return p.anonymous.pull(ctx, "public/hello:v1") }},
		{"nobody pushes public/hello without a policy", func(ctx context.Context) error {
			return refused(p.anonymous.push(ctx, "public/hello:v2"))
		}},
		{"alice pushes team-a/app and pulls it", func(ctx context.Context) error {
			return errors.Join(p.alice.push(ctx, "team-a/app:v1"), p.alice.pull(ctx, "team-a/app:v1"))
		}},
		{"alice cannot push team-b/app", func(ctx context.Context) error { return refused(p.alice.push(ctx, "team-b/app:v1")) }},
		{"an anonymous client cannot pull team-a/app", func(ctx context.Context) error {
			return refused(p.anonymous.pull(ctx, "team-a/app:v1"))
		}},
		{"a wrong password is answered with 401", d.wrongPassword},
		{"a ServiceAccount's token pushes team-a/ci where its policy says", func(ctx context.Context) error {
			return errors.Join(p.robot.push(ctx, "team-a/ci:v1"), refused(p.robot.push(ctx, "team-b/ci:v1")))
		}},
		{"alice's refresh token works without her password, and revoked at one server is refused by both", d.refreshTokens},
		{"scripts reach all of it by bin/demo.env", d.scripts},
		{"an AccessPolicy takes effect in under a second, on both servers, and deleted takes it away", d.policyTakesEffect},
		{"a policy that reaches outside its namespace is refused at apply", d.refusedAtApply},
		{"without the admission policy it is Accepted=False/OutsideNamespace and grants nothing", d.grantsNothing},
		{"a tenant's Deny does not touch what the platform granted", func(ctx context.Context) error { return d.tenantDeny(ctx, p) }},
		{"an htpasswd user named " + impostor + " does not get in", d.impostorStaysOut},
	}
}

// faults are what must not be noticed.
func (d *demo) faults(p people) []check {
	return []check{
		{"the key rotates twice under pulls: the registry is not restarted, no request is refused", func(ctx context.Context) error {
			return d.rotateTwice(ctx, p)
		}},
		{"one server is killed, the other serves on", func(ctx context.Context) error { return d.killOne(ctx, p) }},
		{"the API server is stopped for 30 s, tokens still come", func(ctx context.Context) error { return d.survivesOutage(ctx, p) }},
		{"after the outage a new policy takes effect", d.policyTakesEffectAfterOutage},
	}
}

// refused turns a refusal into success, and anything else into an error: a registry that is down refuses nothing.
func refused(err error) error {
	if err == nil {
		return errors.New("it was allowed")
	}
	for _, sign := range []string{"UNAUTHORIZED", "401 Unauthorized", "DENIED"} {
		if strings.Contains(err.Error(), sign) {
			return nil
		}
	}
	return fmt.Errorf("not a refusal: %w", err)
}
