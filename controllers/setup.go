package controllers

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// The leader holds one Lease, LeaderLease.
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=tokenwright-system,resources=leases,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=tokenwright-system,resources=leases,resourceNames=tokenwright-manager,verbs=get;update

// StatusWritesPerSecond bounds how often the manager writes a status, over all kinds: 100,000 new policies take it more
// than eight minutes, and leave the API server to others meanwhile.
//
// Whoever writes waits for a turn, one write at a time, and turns are taken in the order of asking. So nobody waits behind
// more than the other workers of all controllers, which are about a dozen: 100,000 policies delay the status of a
// SigningKey by less than a tenth of a second.
const StatusWritesPerSecond = 200

// statusBurst is how many may be written at once after a pause.
const statusBurst = 10

// The retries of one object that could not be reconciled.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Minute
)

// Options are what the controllers have to know about the installation.
type Options struct {
	// Namespace is where SigningKeys, IdentityProviders and their Secrets live.
	Namespace string
	// CANamespace is where the certificate authorities' Secrets live, which servers cannot read.
	CANamespace string
	// ClockSkew is how far the clocks of this cluster may be apart.
	ClockSkew time.Duration
	// MaxStaleness is how long a server that sees nothing new goes on signing.
	MaxStaleness time.Duration
	// JWKSMaxAge is how long verifiers may cache the JWKS.
	JWKSMaxAge time.Duration
	// TestBounds lets an annotation set intervals of seconds. For tests only.
	TestBounds bool
	// Clock is the time; nil means the system's.
	Clock clock.PassiveClock

	statusLimit, deletionLimit *rate.Limiter
	// issuerEvery replaces how often external issuers are asked; for tests.
	issuerEvery time.Duration
}

// validate refuses what would make the manager do harm. Servers read every Secret of the system namespace, so the
// certificate authorities' must not lie there.
func (o Options) validate() error {
	switch {
	case o.Namespace == "" || o.CANamespace == "":
		return errors.New("the system namespace and the namespace of the certificate authorities must be given")
	case o.Namespace == o.CANamespace:
		return fmt.Errorf("the certificate authorities must not be in the system namespace %q: servers can read what is there", o.Namespace)
	case o.ClockSkew < 0 || o.MaxStaleness < 0 || o.JWKSMaxAge < 0:
		return errors.New("clock skew, staleness and the age of a JWKS must not be negative")
	}
	return nil
}

// AddToManager adds every controller to the manager.
func AddToManager(mgr ctrl.Manager, o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	o.statusLimit = rate.NewLimiter(StatusWritesPerSecond, statusBurst)
	o.deletionLimit = rate.NewLimiter(deletionsPerSecond, 1)
	for name, add := range map[string]func(ctrl.Manager, Options) error{
		"accesspolicy":        addAccessPolicy,
		"claimconflict":       addClaimConflict,
		"clusteraccesspolicy": addClusterAccessPolicy,
		"identityprovider":    addIdentityProvider,
		"permissionrequest":   addPermissionRequest,
		"permissionrequests":  addRequestsCollector,
		"protectedresource":   addProtectedResource,
		"records":             addRecordsCollector,
		"serverkeys":          addServerKeys,
		"serverlease":         addServerLease,
		"signingkey":          addSigningKey,
	} {
		if err := add(mgr, o); err != nil {
			return fmt.Errorf("add the %s controller: %w", name, err)
		}
	}
	return nil
}

// statusWriter returns the writer of a kind's status; its field owner is "tokenwright/<kind>".
func (o Options) statusWriter(c client.Client, kind string) statusWriter {
	return statusWriter{client: c, owner: client.FieldOwner("tokenwright/" + kind), limit: o.statusLimit}
}

// controllerOptions are the same for every controller but for how many objects it works on at once.
func controllerOptions(concurrency int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: concurrency,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
	}
}
