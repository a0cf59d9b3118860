package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=identityproviders,verbs=list;watch
// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=identityproviders/status,verbs=patch
// +kubebuilder:rbac:groups="",namespace=tokenwright-system,resources=secrets,verbs=get;list;watch

// recheck is how often a Secret that the cache does not hold is looked for: no event tells of one without the label.
const recheck = time.Minute

// identityProviderReconciler says in the status of each IdentityProvider whether servers can ask it.
type identityProviderReconciler struct {
	reader client.Reader
	// live reads past the cache, which holds labelled Secrets only.
	live      client.Reader
	status    statusWriter
	clock     clock.PassiveClock
	issuers   *issuerProbe
	namespace string
}

// addIdentityProvider adds the controller to the manager.
func addIdentityProvider(mgr ctrl.Manager, o Options) error {
	r := &identityProviderReconciler{
		reader:    mgr.GetClient(),
		live:      mgr.GetAPIReader(),
		status:    o.statusWriter(mgr.GetClient(), "identityprovider"),
		clock:     o.Clock,
		issuers:   newIssuerProbe(mgr.GetLogger().WithName("issuers"), o.issuerEvery),
		namespace: o.Namespace,
	}
	if err := mgr.Add(r.issuers); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("identityprovider").
		For(&v1alpha1.IdentityProvider{}, builder.WithPredicates(statusOutdated())).
		// Providers take names from each other, so a change of one is looked at by all; there are few.
		Watches(&v1alpha1.IdentityProvider{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(specChanged())).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.naming)).
		WatchesRawSource(source.Channel(r.issuers.told, &handler.EnqueueRequestForObject{})).
		WithOptions(controllerOptions(1)).
		Complete(r)
}

// Reconcile compiles the provider with its Secret and its elders, and writes what came of it.
func (r *identityProviderReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var providers v1alpha1.IdentityProviderList
	if err := r.reader.List(ctx, &providers, client.InNamespace(r.namespace)); err != nil {
		return ctrl.Result{}, fmt.Errorf("list IdentityProviders: %w", err)
	}
	object := named(providers.Items, request.NamespacedName)
	if object == nil {
		r.issuers.forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	var secrets found
	compiled, problems := provider.Compile(object, r.lookup(ctx, &secrets))
	if secrets.err != nil {
		return ctrl.Result{}, secrets.err
	}
	if knowsNobody(compiled) {
		problems = allFatal(problems)
	}
	if taken, ok := provider.Conflicts(providers.Items)[object.Name]; ok {
		problems = append([]provider.Problem{taken}, problems...)
	}
	problems, asking := r.issuerProblems(object, problems)
	if asking {
		return ctrl.Result{}, nil // to be continued when the issuer has answered, or has not
	}
	next := identityProviderStatus(metav1.NewTime(r.clock.Now()), object, problems)
	result, err := r.status.apply(ctx, object.Status, next, v1alpha1ac.IdentityProvider(object.Name, object.Namespace).
		WithResourceVersion(object.ResourceVersion).
		WithStatus(v1alpha1ac.IdentityProviderStatus().
			WithObservedGeneration(next.ObservedGeneration).
			WithType(next.Type).
			WithConditions(applied(next.Conditions)...)))
	if err == nil && secrets.uncached && result.IsZero() {
		result.RequeueAfter = recheck
	}
	return result, err
}

// issuerProblems adds what is wrong with a provider of type jwt beyond its compiling: expressions and certificates, and
// then whether the issuer answers, which it is only asked if all else is well. asking says that this is not known yet.
func (r *identityProviderReconciler) issuerProblems(object *v1alpha1.IdentityProvider, problems []provider.Problem) (all []provider.Problem, asking bool) {
	if object.Spec.JWT != nil && len(problems) == 0 {
		err := openid.Check(object.Spec.JWT)
		if err == nil {
			reached := r.issuers.state(object)
			if reached.fault != "" {
				problems = append(problems, provider.Problem{Reason: v1alpha1.ReasonIssuerUnreachable, Message: reached.fault, Fatal: true})
			}
			return problems, !reached.known
		}
		problems = append(problems, provider.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error(), Fatal: true})
	}
	r.issuers.forget(client.ObjectKeyFromObject(object))
	return problems, false
}

// all asks for every provider to be looked at again.
func (r *identityProviderReconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.matching(ctx, func(*v1alpha1.IdentityProvider) bool { return true })
}

// naming asks for the providers that name the Secret.
func (r *identityProviderReconciler) naming(ctx context.Context, secret client.Object) []reconcile.Request {
	if secret.GetNamespace() != r.namespace {
		return nil
	}
	return r.matching(ctx, func(p *v1alpha1.IdentityProvider) bool {
		return p.Spec.Htpasswd != nil && p.Spec.Htpasswd.SecretRef.Name == secret.GetName()
	})
}

func (r *identityProviderReconciler) matching(ctx context.Context, match func(*v1alpha1.IdentityProvider) bool) []reconcile.Request {
	var providers v1alpha1.IdentityProviderList
	if err := r.reader.List(ctx, &providers, client.InNamespace(r.namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list IdentityProviders")
		return nil
	}
	var requests []reconcile.Request
	for i := range providers.Items {
		if p := &providers.Items[i]; match(p) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(p)})
		}
	}
	return requests
}

func named(providers []v1alpha1.IdentityProvider, name types.NamespacedName) *v1alpha1.IdentityProvider {
	for i := range providers {
		if p := &providers[i]; client.ObjectKeyFromObject(p) == name {
			return p
		}
	}
	return nil
}

// found is what came of looking for Secrets, beside the Secrets: the compiler knows no errors.
type found struct {
	// uncached says that a Secret was asked for that the cache does not hold.
	uncached bool
	// err is the first error.
	err error
}

func (f *found) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("get Secret %q: %w", name, err)
	}
}

// lookup returns how the compiler finds a Secret: with its data if the cache holds it, else with its labels only. The
// content of a Secret without the label is none of our business.
func (r *identityProviderReconciler) lookup(ctx context.Context, f *found) func(string) (provider.Secret, bool) {
	return func(name string) (provider.Secret, bool) {
		key := client.ObjectKey{Namespace: r.namespace, Name: name}
		var secret corev1.Secret
		err := r.reader.Get(ctx, key, &secret)
		if err == nil {
			return provider.Secret{Labels: secret.Labels, Data: secret.Data, ResourceVersion: secret.ResourceVersion}, true
		}
		if !apierrors.IsNotFound(err) {
			f.fail(name, err)
			return provider.Secret{}, false
		}
		f.uncached = true
		meta := metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
		if err := r.live.Get(ctx, key, &meta); err != nil {
			if !apierrors.IsNotFound(err) {
				f.fail(name, err)
			}
			return provider.Secret{}, false
		}
		if _, labelled := meta.Labels[v1alpha1.LabelWatch]; labelled {
			// The cache is about to hold it. To judge it without its data would make the status flap.
			f.fail(name, errSecretNotCached)
			return provider.Secret{}, false
		}
		return provider.Secret{Labels: meta.Labels, ResourceVersion: meta.ResourceVersion}, true
	}
}
