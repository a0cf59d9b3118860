package cmd

import (
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenwright/tokenwright/controllers"
)

// How the leader is found. A leader that cannot renew for renewDeadline stops, which is well before another may start:
// the clocks may be apart by the difference. An API server that is away for half a minute does not move the leadership.
const (
	leaseName     = controllers.LeaderLease
	leaseDuration = 60 * time.Second
	renewDeadline = 40 * time.Second
	retryPeriod   = 5 * time.Second
)

// withLeaderElection makes the manager work only while it holds the Lease, and give it back when it stops. The lock is
// made here, not by the manager, because the manager's own wants the right to write events.
func withLeaderElection(options ctrl.Options, rc *rest.Config, namespace string) (ctrl.Options, error) {
	host, err := os.Hostname()
	if err != nil {
		return ctrl.Options{}, fmt.Errorf("name this manager: %w", err)
	}
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, leaseName, identity, rc, renewDeadline)
	if err != nil {
		return ctrl.Options{}, fmt.Errorf("make the lock of Lease %s/%s: %w", namespace, leaseName, err)
	}
	options.LeaderElection = true
	options.LeaderElectionID = leaseName
	options.LeaderElectionNamespace = namespace
	options.LeaderElectionResourceLockInterface = lock
	options.LeaderElectionReleaseOnCancel = true
	options.LeaseDuration = new(leaseDuration)
	options.RenewDeadline = new(renewDeadline)
	options.RetryPeriod = new(retryPeriod)
	return options, nil
}
