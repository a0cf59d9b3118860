package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

const publisherPolicy = `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: publisher-pushes-public}
spec:
  subjects: [{kind: User, name: publisher}]
  rules: [{type: repository, names: ["public/**"], actions: [pull, push]}]
`

const bobPolicy = `
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: bob-pushes, namespace: team-b}
spec:
  subjects: [{kind: User, name: bob}]
  rules: [{type: repository, names: ["team-b/**"], actions: [pull, push]}]
`

const greedyPolicy = `
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: greedy, namespace: team-b}
spec:
  subjects: [{kind: User, name: bob}]
  rules: [{type: repository, names: ["team-a/**"], actions: [pull, push]}]
`

const denyPolicy = `
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: lock-alice-out, namespace: team-a}
spec:
  effect: Deny
  subjects: [{kind: User, name: alice}, {kind: ServiceAccount, name: ci, namespace: team-a}]
  rules: [{type: repository, names: ["team-a/**"], actions: ["*"]}]
`

// effectLimit is how soon after kubectl has returned a policy must decide.
const effectLimit = time.Second

func (d *demo) wrongPassword(ctx context.Context) error {
	for _, server := range d.URLs() {
		get, err := d.ask(ctx, server, "alice", "not-her-password", "team-a/app", "pull")
		if err != nil {
			return err
		}
		post, err := d.askByForm(ctx, server, "alice", "not-her-password", "team-a/app", "pull")
		if err != nil {
			return err
		}
		if get.Status != http.StatusUnauthorized || post.Status != http.StatusUnauthorized || get.Token+post.Token != "" {
			return fmt.Errorf("GET was answered with %d, POST with %d", get.Status, post.Status)
		}
	}
	return nil
}

// bobMayPush waits until both servers let bob push, or both do not, and fails past the limit.
func (d *demo) bobMayPush(ctx context.Context, repository string, want bool, limit time.Duration) error {
	const action = "push"
	return stage.Eventually(ctx, limit, func() error {
		for _, server := range d.URLs() {
			a, err := d.ask(ctx, server, "bob", d.passwords["bob"], repository, action)
			if err != nil {
				return err
			}
			if got := a.may(repository, action); a.Status != http.StatusOK || got != want {
				return fmt.Errorf("%s of %s is answered with status %d and granted=%t", action, repository, a.Status, got)
			}
		}
		return nil
	})
}

func (d *demo) policyTakesEffect(ctx context.Context) error {
	bob, err := d.client("bob", "bob", d.passwords["bob"])
	if err != nil {
		return err
	}
	if err := d.bobMayPush(ctx, "team-b/app", false, effectLimit); err != nil {
		return err
	}
	if err := d.Cluster.Apply(ctx, bobPolicy); err != nil {
		return err
	}
	if err := d.bobMayPush(ctx, "team-b/app", true, effectLimit); err != nil {
		return err
	}
	if err := bob.push(ctx, "team-b/app:v1"); err != nil {
		return err
	}
	if _, err := d.Cluster.Kubectl(ctx, "delete", "accesspolicy", "bob-pushes", "--namespace=team-b"); err != nil {
		return err
	}
	if err := d.bobMayPush(ctx, "team-b/app", false, effectLimit); err != nil {
		return err
	}
	return refused(bob.push(ctx, "team-b/app:v2"))
}

func (d *demo) policyTakesEffectAfterOutage(ctx context.Context) error {
	// Informers back off while the API server is away: the first policy after an outage may wait for that.
	if err := stage.Eventually(ctx, time.Minute, func() error { return d.Cluster.Apply(ctx, bobPolicy) }); err != nil {
		return err
	}
	if err := d.bobMayPush(ctx, "team-b/app", true, time.Minute); err != nil {
		return err
	}
	_, err := d.Cluster.Kubectl(ctx, "delete", "accesspolicy", "bob-pushes", "--namespace=team-b")
	return err
}

func (d *demo) refusedAtApply(ctx context.Context) error { return d.greedyIsRefused(ctx) }

// greedyIsRefused tries to apply a policy that reaches outside its namespace. With --dry-run=server it goes through
// admission just the same and leaves nothing behind.
func (d *demo) greedyIsRefused(ctx context.Context, flags ...string) error {
	args := append([]string{"apply", "--server-side", "-f", "-"}, flags...)
	_, err := d.Cluster.KubectlWith(ctx, greedyPolicy, args...)
	if err == nil {
		return errors.New("it was admitted")
	}
	if !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") || !strings.Contains(err.Error(), "team-b/") {
		return fmt.Errorf("it was refused for another reason: %w", err)
	}
	return nil
}

func (d *demo) grantsNothing(ctx context.Context) (err error) {
	binding := "validatingadmissionpolicybinding/tokenwright-accesspolicies"
	saved, err := d.Cluster.Kubectl(ctx, "get", binding, "-o", "json", "--show-managed-fields=false")
	if err != nil {
		return err
	}
	if _, err := d.Cluster.Kubectl(ctx, "delete", binding); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.restoreBinding(ctx, saved)) }()
	// The API server's own view of its admission policies lags a little.
	if err := stage.Eventually(ctx, 30*time.Second, func() error { return d.Cluster.Apply(ctx, greedyPolicy) }); err != nil {
		return err
	}
	if err := stage.Eventually(ctx, 10*time.Second, func() error {
		reason, err := d.Cluster.Get(ctx, "team-b", "accesspolicy/greedy", `{.status.conditions[?(@.type=="Accepted")].status}/{.status.conditions[?(@.type=="Accepted")].reason}`)
		if err == nil && reason != "False/OutsideNamespace" {
			err = fmt.Errorf("its condition Accepted is %q", reason)
		}
		return err
	}); err != nil {
		return err
	}
	return d.bobMayPush(ctx, "team-a/app", false, effectLimit)
}

func (d *demo) restoreBinding(ctx context.Context, saved string) error {
	if _, err := d.Cluster.Kubectl(ctx, "delete", "accesspolicy", "greedy", "--namespace=team-b", "--ignore-not-found"); err != nil {
		return err
	}
	if _, err := d.Cluster.KubectlWith(ctx, saved, "create", "-f", "-"); err != nil {
		return err
	}
	return stage.Eventually(ctx, 30*time.Second, func() error { return d.greedyIsRefused(ctx, "--dry-run=server") })
}

func (d *demo) tenantDeny(ctx context.Context, p people) (err error) {
	if err := d.Cluster.Apply(ctx, denyPolicy); err != nil {
		return err
	}
	defer func() {
		_, deleteErr := d.Cluster.Kubectl(ctx, "delete", "accesspolicy", "lock-alice-out", "--namespace=team-a")
		err = errors.Join(err, deleteErr)
	}()
	// The Deny is in force once it has taken away what the tenant itself gave to its ServiceAccount.
	if err := stage.Eventually(ctx, 10*time.Second, func() error { return refused(p.robot.push(ctx, "team-a/ci:v2")) }); err != nil {
		return err
	}
	return p.alice.push(ctx, "team-a/app:v2")
}

func (d *demo) impostorStaysOut(ctx context.Context) error {
	for _, server := range d.URLs() {
		a, err := d.askByForm(ctx, server, impostor, d.passwords[impostor], "team-a/app", "push")
		if err != nil {
			return err
		}
		if a.Status != http.StatusUnauthorized || a.Token != "" {
			return fmt.Errorf("answered with %d", a.Status)
		}
	}
	return nil
}
