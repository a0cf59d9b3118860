package admission

import (
	"context"
	"fmt"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationapply "k8s.io/client-go/applyconfigurations/coordination/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/test/chart"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

const (
	leasesBinding = "tokenwright-server-leases"
	serverAccount = "tokenwright-server"
	lock          = "tokenwright-manager"

	prefixMessage    = `must start with "tokenwright-server-", but is "`
	podMessage       = `of a Lease that the pod "web-1" writes must be "tokenwright-server-web-1", but is "`
	labelMessage     = "metadata.labels of a Lease that the token server writes must hold tokenwright.dev/server-lease"
	finalizerMessage = "metadata.finalizers of a Lease must not be added to by the token server"
)

// lease is a Lease as a server writes it.
func lease(name string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: chart.SystemNamespace, Name: name, Labels: map[string]string{"tokenwright.dev/server-lease": "true"},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: new(name), LeaseDurationSeconds: new(int32(3600))},
	}
}

// generated is a Lease whose name the API server completes.
func generated(prefix string) *coordinationv1.Lease {
	l := lease("")
	l.GenerateName = prefix
	return l
}

// labelled has these labels and no others.
func labelled(l *coordinationv1.Lease, labels map[string]string) *coordinationv1.Lease {
	l.Labels = labels
	return l
}

// leaseTry asks the API server whether it would store something, and changes nothing.
type leaseTry func(ctx context.Context, c client.Client) error

func creating(l *coordinationv1.Lease) leaseTry {
	return func(ctx context.Context, c client.Client) error { return c.Create(ctx, l.DeepCopy(), client.DryRunAll) }
}

// updating changes a Lease that is there.
func updating(name string, how func(*coordinationv1.Lease)) leaseTry {
	return func(ctx context.Context, c client.Client) error {
		l, err := stored(ctx, name)
		if err != nil {
			return err
		}
		how(l)
		return c.Update(ctx, l, client.DryRunAll)
	}
}

// replacing is an update without a resourceVersion: it creates what is not there.
func replacing(l *coordinationv1.Lease) leaseTry {
	return func(ctx context.Context, c client.Client) error { return c.Update(ctx, l.DeepCopy(), client.DryRunAll) }
}

func patching(name string) leaseTry {
	return func(ctx context.Context, c client.Client) error {
		l, err := stored(ctx, name)
		if err != nil {
			return err
		}
		before := l.DeepCopy()
		seize(l)
		return c.Patch(ctx, l, client.MergeFrom(before), client.DryRunAll)
	}
}

func applying(name string) leaseTry {
	return func(ctx context.Context, c client.Client) error {
		l := coordinationapply.Lease(name, chart.SystemNamespace).WithLabels(lease(name).Labels).
			WithSpec(coordinationapply.LeaseSpec().WithHolderIdentity("mallory"))
		return c.Apply(ctx, l, client.FieldOwner("mallory"), client.ForceOwnership, client.DryRunAll)
	}
}

func stored(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	l := &coordinationv1.Lease{}
	err := plane.Client.Get(ctx, client.ObjectKey{Namespace: chart.SystemNamespace, Name: name}, l)
	return l, err
}

func seize(l *coordinationv1.Lease) { l.Spec.HolderIdentity = new("mallory") }

func disguise(l *coordinationv1.Lease) {
	seize(l)
	l.Labels = map[string]string{"tokenwright.dev/server-lease": "true"}
}

// leaseCase is a try; want is a part of the message, empty if it is to be admitted.
type leaseCase struct {
	reason string
	try    leaseTry
	want   string
}

// podCases are tries with the token of the pod web-1. Leases of web-1 and web-2 are there, and the manager's lock.
func podCases() map[string]leaseCase {
	const own, others, absent = "tokenwright-server-web-1", "tokenwright-server-web-2", "tokenwright-server-web-3"
	return map[string]leaseCase{
		"It renews its Lease":      {reason: "that is its work, and what others have put on the Lease is theirs", try: updating(own, func(l *coordinationv1.Lease) { l.Spec.RenewTime = new(metav1.NowMicro()) })},
		"It gives its Lease back":  {reason: "nobody is to wait for it", try: updating(own, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil })},
		"It patches its own Lease": {reason: "the rule is about names, not about verbs", try: patching(own)},
		"It lets its Lease go":     {reason: "less is always allowed", try: updating(own, func(l *coordinationv1.Lease) { l.Finalizers = nil })},

		"It takes the manager's lead": {
			reason: "two managers would write the same keys, or none", try: updating(lock, seize), want: prefixMessage + lock,
		},
		"It takes the manager's lead, with the label on": {
			reason: "a label makes no Lease one of a server", try: updating(lock, disguise), want: prefixMessage + lock,
		},
		"It patches the manager's lock":         {reason: "every verb that writes counts", try: patching(lock), want: prefixMessage + lock},
		"It applies the manager's lock":         {reason: "every verb that writes counts", try: applying(lock), want: prefixMessage + lock},
		"It creates a lock of another program":  {reason: "whatever leads here is none of its business", try: creating(lease("other-controller")), want: prefixMessage},
		"It renews another replica's Lease":     {reason: "the manager would believe that replica alive", try: updating(others, func(*coordinationv1.Lease) {}), want: podMessage + others},
		"It gives another replica's Lease back": {reason: "the manager would not wait for a replica that signs", try: updating(others, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil }), want: podMessage + others},
		"It speaks for a replica to come":       {reason: "that one could not make its Lease", try: creating(lease(absent)), want: podMessage + absent},
		"It creates by an update":               {reason: "what is not there is created by it", try: replacing(lease(absent)), want: podMessage + absent},
		"It creates by an apply":                {reason: "what is not there is created by it", try: applying(absent), want: podMessage + absent},
		"A name that begins with its own":       {reason: "another pod may have that name", try: creating(lease(own + "0")), want: podMessage + own + "0"},
		"The beginning of its own name":         {reason: "another pod may have that name", try: creating(lease("tokenwright-server-web")), want: podMessage},
		"A name that the API server completes":  {reason: "the name that is stored counts", try: creating(generated("tokenwright-server-")), want: podMessage},
		"A completed name of its own":           {reason: "there would be no end of Leases", try: creating(generated(own)), want: podMessage},
		"A completed name of the manager's":     {reason: "the name that is stored counts", try: creating(generated(lock)), want: prefixMessage},
		"Its own Lease without a label":         {reason: "it would never be collected", try: creating(labelled(lease(own), nil)), want: labelMessage},
		"Its own Lease with another label":      {reason: "it would never be collected", try: creating(labelled(lease(own), map[string]string{"a": "true"})), want: labelMessage},
		"Its own Lease with another value":      {reason: "the manager looks for the value, too", try: creating(labelled(lease(own), map[string]string{"tokenwright.dev/server-lease": "false"})), want: labelMessage},
		"It takes the label off":                {reason: "the manager would not wait for it", try: updating(own, func(l *coordinationv1.Lease) { l.Labels = nil }), want: labelMessage},
		"It puts a finalizer on":                {reason: "it would never be collected", try: updating(own, func(l *coordinationv1.Lease) { l.Finalizers = append(l.Finalizers, "example.com/mine") }), want: finalizerMessage},
	}
}

// unboundCases are tries with a token that is bound to no pod, as a server has that runs outside of the cluster.
func unboundCases() map[string]leaseCase {
	return map[string]leaseCase{
		"It creates its Lease":               {reason: "the host's name stands for the pod's", try: creating(lease("tokenwright-server-host-7"))},
		"It renews a Lease":                  {reason: "nobody can tell whose it is", try: updating("tokenwright-server-web-1", func(*coordinationv1.Lease) {})},
		"A name that the API server ends":    {reason: "it is one of a server's", try: creating(generated("tokenwright-server-"))},
		"It takes the manager's lead":        {reason: "that much is known of every server", try: updating(lock, seize), want: prefixMessage + lock},
		"It creates another manager's lock":  {reason: "that much is known of every server", try: creating(lease(lock + "-2")), want: prefixMessage},
		"A name without the hyphen":          {reason: "it is no name of a pod's", try: creating(lease("tokenwright-server")), want: prefixMessage},
		"A name that only holds a server's":  {reason: "it must begin with it", try: creating(lease("x-tokenwright-server-1")), want: prefixMessage},
		"A name that the API server widens":  {reason: "it is no name of a pod's", try: creating(generated("tokenwright-server")), want: prefixMessage},
		"A Lease without the label":          {reason: "it would never be collected", try: creating(labelled(lease("tokenwright-server-host-7"), nil)), want: labelMessage},
		"It creates the lock by an update":   {reason: "what is not there is created by it", try: replacing(lease(lock + "-2")), want: prefixMessage},
		"It creates a Lease that cannot end": {reason: "it would never be collected", try: creating(held("tokenwright-server-host-7")), want: finalizerMessage},
	}
}

func held(name string) *coordinationv1.Lease {
	l := lease(name)
	l.Finalizers = []string{"example.com/mine"}
	return l
}

func TestServerLeases(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	prepareLeases(ctx, t)
	callers := map[string]struct {
		c     client.Client
		cases map[string]leaseCase
	}{
		"pod":     {c: clientOf(t, podConfig(ctx, t, chart.SystemNamespace, serverAccount, "web-1")), cases: podCases()},
		"unbound": {c: clientOf(t, unboundConfig(ctx, t, chart.SystemNamespace, serverAccount)), cases: unboundCases()},
	}
	for who, caller := range callers {
		for name, tc := range caller.cases {
			t.Run(who+": "+name, func(t *testing.T) {
				err := tc.try(ctx, caller.c)
				switch {
				case tc.want == "" && err != nil:
					t.Errorf("%s: must be admitted: %v", tc.reason, err)
				case tc.want != "" && refused(err) != nil:
					t.Errorf("%s: must be refused by the admission policy: %v", tc.reason, refused(err))
				case tc.want != "" && !strings.Contains(err.Error(), tc.want):
					t.Errorf("%s: the message is %q, expected %q in it", tc.reason, err, tc.want)
				}
			})
		}
	}

	// What was refused was refused by the policy and by nothing else.
	uninstall(ctx, t, leasesBinding, func() error { return creating(lease("other-controller"))(ctx, callers["unbound"].c) })
	for who, caller := range callers {
		for name, tc := range caller.cases {
			t.Run("Without the binding: "+who+": "+name, func(t *testing.T) {
				if err := tc.try(ctx, caller.c); err != nil && !apierrors.IsAlreadyExists(err) {
					t.Errorf("must be admitted: %v", err)
				}
			})
		}
	}
}

// What the corpus asks for with dry-run, here it is done.
func TestAServerStoresItsOwnLeaseAndNoOther(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	prepareLeases(ctx, t)
	pod := clientOf(t, podConfig(ctx, t, chart.SystemNamespace, serverAccount, "web-4"))
	if err := pod.Create(ctx, lease("tokenwright-server-web-4")); err != nil {
		t.Fatalf("a server must be able to create its Lease: %v", err)
	}
	own, err := stored(ctx, "tokenwright-server-web-4")
	if err != nil {
		t.Fatal(err)
	}
	own.Spec.RenewTime = new(metav1.NowMicro())
	if err := pod.Update(ctx, own); err != nil {
		t.Errorf("a server must be able to renew its Lease: %v", err)
	}
	leader, err := stored(ctx, lock)
	if err != nil {
		t.Fatal(err)
	}
	seize(leader)
	if err := refused(pod.Update(ctx, leader)); err != nil {
		t.Errorf("a server must not take the manager's lead: %v", err)
	}
	if after, err := stored(ctx, lock); err != nil || *after.Spec.HolderIdentity != lock {
		t.Errorf("the lead is with %v, error %v", after.Spec.HolderIdentity, err)
	}
}

func TestOthersWriteLeasesAsBefore(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	prepareLeases(ctx, t)
	others := map[string]*rest.Config{
		"an administrator":                       plane.Config,
		"the manager":                            unboundConfig(ctx, t, chart.SystemNamespace, "tokenwright-manager"),
		"a pod of the manager":                   podConfig(ctx, t, chart.SystemNamespace, "tokenwright-manager", "manager-1"),
		"an account of that name elsewhere":      unboundConfig(ctx, t, "team-a", serverAccount),
		"an account whose name begins like that": unboundConfig(ctx, t, chart.SystemNamespace, serverAccount+"-2"),
	}
	for name, config := range others {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, config)
			for what, try := range map[string]leaseTry{
				"to renew the manager's lock":    updating(lock, seize),
				"to create a Lease of any name":  creating(labelled(lease("other-controller"), nil)),
				"to renew a server's Lease":      updating("tokenwright-server-web-1", seize),
				"to take the label of one off":   updating("tokenwright-server-web-1", func(l *coordinationv1.Lease) { l.Labels = nil }),
				"to have the API server name it": creating(generated("x-")),
			} {
				if err := try(ctx, c); err != nil {
					t.Errorf("%s must be admitted: %v", what, err)
				}
			}
		})
	}
}

// prepareLeases gives the accounts every right on Leases, so that the admission policy alone bounds them, and makes the
// Leases that the tries are about.
func prepareLeases(ctx context.Context, t *testing.T) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "leases"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"*"},
	}}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "leases"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "leases"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts"}},
	}
	leader := labelled(lease(lock), nil)
	own := lease("tokenwright-server-web-1")
	own.Finalizers = []string{"example.com/foreign"}
	for _, o := range []client.Object{role, binding, leader, own, lease("tokenwright-server-web-2")} {
		create(ctx, t, o)
	}
}

// create creates the object, or does nothing if it exists.
func create(ctx context.Context, t *testing.T, o client.Object) {
	t.Helper()
	if err := plane.Client.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

func clientOf(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	// The right may take a moment to be known.
	if err := stage.Eventually(t.Context(), limit, func() error { return c.List(t.Context(), &coordinationv1.LeaseList{}) }); err != nil {
		t.Fatal(err)
	}
	return c
}

func unboundConfig(ctx context.Context, t *testing.T, namespace, account string) *rest.Config {
	t.Helper()
	config, err := plane.ConfigOf(ctx, namespace, account)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// podConfig has a token as the kubelet asks for it: bound to a pod of the ServiceAccount.
func podConfig(ctx context.Context, t *testing.T, namespace, account, name string) *rest.Config {
	t.Helper()
	config := unboundConfig(ctx, t, namespace, account)
	create(ctx, t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			ServiceAccountName: account,
			Containers:         []corev1.Container{{Name: "server", Image: "server"}},
		},
	})
	pod := &corev1.Pod{}
	if err := plane.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, pod); err != nil {
		t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: pod.UID},
	}}
	holder := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := plane.Client.SubResource("token").Create(ctx, holder, request); err != nil {
		t.Fatal(fmt.Errorf("request a token of pod %s/%s: %w", namespace, name, err))
	}
	config.BearerToken = request.Status.Token
	return config
}
