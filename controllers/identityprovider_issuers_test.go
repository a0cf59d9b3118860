package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
)

// unreachable is the status of a provider whose issuer does not answer: it may come back, so that nobody is called.
func unreachable() map[string]said {
	return map[string]said{"Ready": {"False", v1alpha1.ReasonIssuerUnreachable}}
}

// jwtProvider is a provider of the issuer as a person makes it: uid and generation are the API server's to give.
func jwtProvider(i *issuer.Issuer, namespace, name, prefix string, edit func(*v1alpha1.JWTProvider)) *v1alpha1.IdentityProvider {
	p := i.Provider(namespace, name, prefix, edit)
	p.UID, p.Generation = "", 0
	return p
}

func TestIdentityProviderFollowsItsIssuer(t *testing.T) {
	o := testOptions(t, "idp-issuer")
	o.issuerEvery = 60 * time.Millisecond
	startManager(t, plane.Config, o)
	i := issuer.New(t)
	i.Down(true)
	p := jwtProvider(i, o.Namespace, "hub", "hub:", nil)
	create(t, p)
	served(t, p, unreachable())
	if p.Status.Type != "jwt" {
		t.Errorf("status.type is %q, want jwt", p.Status.Type)
	}
	for _, c := range p.Status.Conditions {
		want := "the description at " + i.URL + "/.well-known/openid-configuration could not be fetched"
		if c.Type == v1alpha1.ConditionReady && c.Message != want {
			t.Errorf("the message is %q, want %q", c.Message, want)
		}
	}
	i.Down(false)
	served(t, p, serving())
	i.Down(true)
	served(t, p, unreachable())
	i.Down(false)
	served(t, p, serving())

	p.Spec.JWT.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: "claims."}
	if err := plane.Client.Update(t.Context(), p); err != nil {
		t.Fatalf("update the provider: %v", err)
	}
	served(t, p, notServing(v1alpha1.ReasonInvalidSpec))
}

// TestManagerThatBeginsLeavesAStatusAlone has a manager that starts while the issuer does not answer for a moment.
func TestManagerThatBeginsLeavesAStatusAlone(t *testing.T) {
	o := testOptions(t, "idp-again-issuer")
	o.issuerEvery = time.Minute
	i := issuer.New(t)
	p := jwtProvider(i, o.Namespace, "hub", "hub:", nil)
	stop := startManager(t, plane.Config, o)
	create(t, p)
	served(t, p, serving())
	stop()

	i.Down(true)
	before, version := i.Requests(), p.ResourceVersion
	startManager(t, plane.Config, o)
	eventually(t, func() error {
		if i.Requests() == before {
			return errors.New("the issuer was not asked")
		}
		return nil
	})
	// Another provider, of which everything is known after this one.
	other := jwtProvider(i, o.Namespace, "other", "other:", func(s *v1alpha1.JWTProvider) { s.Issuer.Audiences = []v1alpha1.Audience{"other"} })
	create(t, other)
	served(t, other, unreachable())
	refresh(t, p)
	if p.ResourceVersion != version {
		t.Errorf("the status was written: %v", p.Status.Conditions)
	}
}

func TestIdentityProvidersOfOneIssuerGiveWay(t *testing.T) {
	o := testOptions(t, "idp-issuer-elder")
	startManager(t, plane.Config, o)
	i := issuer.New(t)
	elder := jwtProvider(i, o.Namespace, "a-elder", "a:", nil)
	create(t, elder)
	served(t, elder, serving())
	same := jwtProvider(i, o.Namespace, "b-same", "b:", nil)
	within := jwtProvider(i, o.Namespace, "c-within", "a:b", func(s *v1alpha1.JWTProvider) { s.Issuer.Audiences = []v1alpha1.Audience{"other"} })
	create(t, same, within)
	served(t, same, notServing(v1alpha1.ReasonAudienceTaken))
	served(t, within, notServing(v1alpha1.ReasonPrefixTaken))
}

func TestReach(t *testing.T) {
	good := reach{known: true}
	failing := func(n int) reach { return reach{known: true, failures: n} }
	cases := map[string]struct {
		reason   string
		state    reach
		fault    string
		wasReady bool
		want     reach
	}{
		"the first answer":                         {"It serves.", reach{}, "", false, good},
		"no answer at first":                       {"A person waits for it.", reach{}, "x", false, reach{known: true, failures: 1, fault: "x"}},
		"no answer at first of one that served":    {"Another manager saw it a moment ago.", reach{}, "x", true, failing(1)},
		"one answer lost":                          {"A condition must not flap.", good, "x", false, failing(1)},
		"two answers lost":                         {"A condition must not flap.", failing(1), "x", false, failing(2)},
		"three answers lost":                       {"It is down.", failing(2), "x", false, reach{known: true, failures: 3, fault: "x"}},
		"an answer between":                        {"They are counted in a row.", failing(2), "", false, good},
		"down in another way":                      {"The status says how it is now.", reach{known: true, failures: 3, fault: "x"}, "y", true, reach{known: true, failures: 4, fault: "y"}},
		"back":                                     {"It serves at once.", reach{known: true, failures: 3, fault: "x"}, "", false, good},
		"down from the start, whatever was before": {"The first failure told.", reach{known: true, failures: 1, fault: "x"}, "x", true, reach{known: true, failures: 2, fault: "x"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.state.after(tc.fault, tc.wasReady), cmp.AllowUnexported(reach{})); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestReconcilingAsksNobody shows that however often providers are looked at, an issuer is asked once in the time.
func TestReconcilingAsksNobody(t *testing.T) {
	i := issuer.New(t)
	p := newIssuerProbe(logr.Discard(), time.Minute)
	asked := make(chan struct{}, 1000)
	p.ask = func(context.Context, *v1alpha1.JWTProvider) error {
		asked <- struct{}{}
		return &openid.Fault{Message: "down", Cause: errors.New("port 12345")}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Start(ctx) }()
	object := i.Provider("system", "hub", "hub:", nil)
	for range 100 {
		p.state(object)
	}
	told := <-p.told
	for range 100 {
		p.state(object)
	}
	if told.Object.GetName() != "hub" || p.state(object).fault != "down" {
		t.Errorf("told of %s, which is %+v; want hub, which is down", told.Object.GetName(), p.state(object))
	}
	changed := object.DeepCopy()
	changed.Generation++
	p.state(changed)
	<-p.told
	if len(asked) != 2 {
		t.Errorf("the issuer was asked %d times for two versions, want 2", len(asked))
	}
	p.forget(client.ObjectKeyFromObject(object))
	cancel()
	if err := <-ended; err != nil || len(p.known) != 0 {
		t.Errorf("ended with %v and %d issuers, want none", err, len(p.known))
	}
}

func TestIssuerFault(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   error
		want   string
	}{
		"none":          {"It answered.", nil, ""},
		"a fault":       {"The cause differs each time.", &openid.Fault{Message: "down", Cause: errors.New("port 1")}, "down"},
		"within others": {"The same.", fmt.Errorf("ask: %w", &openid.Fault{Message: "down"}), "down"},
		"another":       {"It may hold anything.", errors.New(strings.Repeat("x", 10)), "the issuer cannot be asked"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, issuerFault(tc.args)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
