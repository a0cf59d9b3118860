package lease

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// attempts bounds how often a write that met another is made again at once.
const attempts = 4

// Name is the name of a server's Lease.
func Name(podName string) string { return "tokenwright-server-" + podName }

// renew writes the Lease by compare and swap.
func (k *Keeper) renew(ctx context.Context, serves []string, asOf time.Time) error {
	var err error
	for range attempts {
		if err = k.write(ctx, serves, asOf); err == nil {
			return nil
		}
		k.held = nil // it may be another by now, or the answer to a write that succeeded may have been lost
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return fmt.Errorf("write Lease %s: %w", Name(k.options.PodName), err)
}

// write makes the Lease, or changes it from what is known of it.
func (k *Keeper) write(ctx context.Context, serves []string, asOf time.Time) error {
	lease, err := k.known(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := k.call(ctx)
	defer cancel()
	acquired := cmp.Or(k.acquired, asOf)
	k.tried = true
	if lease == nil {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: Name(k.options.PodName)}}
		k.describe(lease, serves, acquired, asOf)
		lease, err = k.options.Client.Create(ctx, lease, metav1.CreateOptions{})
	} else {
		k.describe(lease, serves, acquired, asOf)
		lease, err = k.options.Client.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		return err
	}
	k.held, k.acquired = lease, acquired
	return nil
}

// known returns the Lease to change: what was written last, or what is there; nil if there is none.
func (k *Keeper) known(ctx context.Context) (*coordinationv1.Lease, error) {
	if k.held != nil {
		return k.held.DeepCopy(), nil
	}
	ctx, cancel := k.call(ctx)
	defer cancel()
	lease, err := k.options.Client.Get(ctx, Name(k.options.PodName), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // that there is none is no error here
	case err != nil:
		return nil, err
	}
	k.oust(lease)
	return lease, nil
}

// oust tells, once, of a holder that is not this process. A container that was started again finds the Lease of the one
// before. Two processes that take it from each other have the same --pod-name, and acknowledge for each other.
func (k *Keeper) oust(lease *coordinationv1.Lease) {
	holder := lease.Spec.HolderIdentity
	if holder == nil || *holder == "" || *holder == k.identity || k.ousted[*holder] {
		return
	}
	k.ousted[*holder] = true
	if k.acquired.IsZero() {
		k.telling.log.Info("Took over the Lease", "from", *holder)
		return
	}
	k.telling.log.Error(nil, "Took back the Lease: another process uses the same --pod-name, which must be each one's own", "from", *holder)
}

// describe makes the Lease say what it is to say. What others have put on it stays.
//
// It is renewed as of the time at which the view was known to be current, not as of now: the end of the Lease is then the
// time from which this server does not sign.
func (k *Keeper) describe(lease *coordinationv1.Lease, serves []string, acquired, asOf time.Time) {
	if lease.Labels == nil {
		lease.Labels = map[string]string{}
	}
	lease.Labels[v1alpha1.LabelServerLease] = "true"
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[v1alpha1.AnnotationServes] = keyring.EncodeServes(serves)
	if uid := types.UID(k.options.PodUID); uid != "" {
		lease.OwnerReferences = slices.DeleteFunc(lease.OwnerReferences, func(r metav1.OwnerReference) bool { return r.Kind == "Pod" })
		lease.OwnerReferences = append(lease.OwnerReferences, metav1.OwnerReference{
			APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Pod", Name: k.options.PodName, UID: uid,
		})
	}
	seconds := int32(math.Ceil(k.options.MaxStaleness.Seconds()))
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = &k.identity, &seconds
	lease.Spec.AcquireTime, lease.Spec.RenewTime = &metav1.MicroTime{Time: acquired}, &metav1.MicroTime{Time: asOf}
}

// served is what the Lease acknowledges.
func served(lease *coordinationv1.Lease) []string {
	return keyring.DecodeServes(lease.Annotations[v1alpha1.AnnotationServes])
}

// release says that nobody has to wait for this server any more. If that fails the Lease ends by itself.
func (k *Keeper) release(ctx context.Context) {
	if !k.tried {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	err := k.clear(ctx)
	for n := 1; n < attempts && apierrors.IsConflict(err); n++ {
		err = k.clear(ctx)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		k.telling.log.Error(err, "Could not release the Lease, it ends by itself")
	}
}

func (k *Keeper) clear(ctx context.Context) error {
	lease, err := k.options.Client.Get(ctx, Name(k.options.PodName), metav1.GetOptions{})
	if err != nil {
		return err
	}
	if holder := lease.Spec.HolderIdentity; holder == nil || *holder != k.identity {
		return nil // whoever took it over needs it
	}
	lease.Spec.HolderIdentity = nil
	_, err = k.options.Client.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}
