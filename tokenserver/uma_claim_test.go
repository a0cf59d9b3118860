package tokenserver

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// overtaken is an API server on which somebody else has claimed the same a moment before each registration.
type overtaken struct {
	registration.Client
	stored  *v1alpha1.ProtectedResource
	observe func(*v1alpha1.ProtectedResource)
	deleted atomic.Int32
	// older says that what is registered has been there for long, and lost its claim since.
	older bool
}

func (o *overtaken) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	object.SetUID("1")
	object.SetCreationTimestamp(metav1.Now())
	o.stored, _ = object.DeepCopyObject().(*v1alpha1.ProtectedResource)
	o.observe(o.stored)
	if o.older {
		return apierrors.NewAlreadyExists(v1alpha1.GroupVersion.WithResource("protectedresources").GroupResource(), object.GetName())
	}
	return nil
}

func (o *overtaken) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if into, ok := into.(*v1alpha1.ProtectedResource); ok {
		o.stored.DeepCopyInto(into)
	}
	return nil
}

func (o *overtaken) Delete(context.Context, client.Object, ...client.DeleteOption) error {
	o.deleted.Add(1)
	return nil
}

// TestANamespaceTakesSoManyResources holds that growth has an end.
func TestANamespaceTakesSoManyResources(t *testing.T) {
	builder := []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: "ci", Name: "builder"}}
	behind := &overtaken{observe: func(*v1alpha1.ProtectedResource) {}}
	w := startUMA(t, func(_ *Options, parts *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t, slices.Concat(oauthPolicies(), []*v1alpha1.ClusterAccessPolicy{
			fixture.Cluster("builder-protects", builder, oauthRule(api, "uma_protection"), nil),
		})...)
		var many []*resource.Resource
		for n := range 10_000 {
			name := "r" + strconv.Itoa(n)
			if n == 0 {
				name = registration.ResourceName(api, "system:serviceaccount:ci:builder", "There")
			}
			many = append(many, &resource.Resource{ID: "ci/" + name, Name: name, Namespace: "ci", Object: name, UID: strconv.Itoa(n + 1), Audience: api, Scopes: []string{"view"}})
		}
		input.Resources = input.Resources.With(api, many)
		parts.Registrations = registration.New(registration.Options{
			Client: behind, Index: &registration.Index{}, Snapshots: parts.Snapshots, Now: time.Now, Log: logr.Discard(),
		})
	})
	pat := w.form(t, "/token", "x", w.cluster.token(t, time.Hour, nil), values("grant_type", "client_credentials", "audience", api, "scope", "uma_protection")).text(t, "access_token")
	w.json(t, http.MethodPost, "/authz/protection/resource_set", pat, `{"name":"One more","resource_scopes":["view"]}`).
		is(t, "one more", 403, problemOf("access_denied", "the namespace has 10000 resources of the audience, and takes no more"))
	if behind.stored != nil {
		t.Error("it was stored")
	}
	if answer := w.json(t, http.MethodPost, "/authz/protection/resource_set", pat, `{"name":"There","resource_scopes":["view"]}`); answer.status != http.StatusCreated {
		t.Errorf("to register again what is there is harmless, but %d: %s", answer.status, answer.body)
	}
}

// TestWhoCameSecondTakesItBack: two servers saw nothing of each other when they looked whether the uri was free.
func TestWhoCameSecondTakesItBack(t *testing.T) {
	behind := &overtaken{}
	builder := []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: "ci", Name: "builder"}}
	w := startUMA(t, func(_ *Options, parts *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t, slices.Concat(oauthPolicies(), []*v1alpha1.ClusterAccessPolicy{
			fixture.Cluster("builder-protects", builder, oauthRule(api, "uma_protection"), nil),
		})...)
		first := fixture.Resource(t, api, "photos", "first", "album", func(spec *v1alpha1.ProtectedResourceSpec) {
			spec.ID, spec.URIs = "first", []v1alpha1.ResourceURI{"/race"}
		}, "view")
		before := *input
		behind.observe = func(object *v1alpha1.ProtectedResource) {
			second, problems := resource.Compile(object)
			if second == nil {
				t.Error(problems)
				return
			}
			after := before
			after.Resources = after.Resources.With(api, []*resource.Resource{first, second})
			parts.Snapshots.Store(snapshot.Build(after))
		}
		parts.Registrations = registration.New(registration.Options{
			Client: behind, Index: &registration.Index{}, Snapshots: parts.Snapshots, Now: time.Now, Log: logr.Discard(),
		})
	})
	pat := w.form(t, "/token", "x", w.cluster.token(t, time.Hour, nil), values("grant_type", "client_credentials", "audience", api, "scope", "uma_protection")).text(t, "access_token")
	for claim, want := range map[string]string{`"uris":["/race"]`: "uris[0]", `"_id":"first"`: "_id"} {
		w.json(t, http.MethodPost, "/authz/protection/resource_set", pat, `{"name":"Second","resource_scopes":["view"],`+claim+`}`).
			is(t, claim, 409, problemOf("conflict", want+" is another resource's"))
		w.snapshots.Store(snapshot.Build(w.input))
	}
	if got := behind.deleted.Load(); got != 2 {
		t.Errorf("%d of 2 were taken back", got)
	}
	behind.older = true
	w.json(t, http.MethodPost, "/authz/protection/resource_set", pat, `{"name":"Second","resource_scopes":["view"],"uris":["/race"]}`).
		is(t, "what was there before", 409, problemOf("conflict", "uris[0] is another resource's"))
	if got := behind.deleted.Load(); got != 2 {
		t.Error("what the call had not created was deleted")
	}
	if !strings.HasPrefix(behind.stored.Name, "second-") || behind.stored.Namespace != "ci" {
		t.Errorf("stored: %s/%s", behind.stored.Namespace, behind.stored.Name)
	}
}
