package controllers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// claims waits until the status has these uris and no others, and returns since when.
func claims(t *testing.T, r *v1alpha1.ProtectedResource, uris ...string) map[string]v1alpha1.DateTime {
	t.Helper()
	since := map[string]v1alpha1.DateTime{}
	eventually(t, func() error {
		refresh(t, r)
		clear(since)
		var got []string
		for _, c := range r.Status.URIs {
			since[c.URI] = c.Since
			got = append(got, c.URI)
		}
		if slices.Sort(got); !slices.Equal(got, uris) {
			return fmt.Errorf("the status of %s has %q, want %q", r.Name, got, uris)
		}
		return nil
	})
	return since
}

// respell has the spec say these uris.
func respell(t *testing.T, r *v1alpha1.ProtectedResource, uris ...v1alpha1.ResourceURI) {
	t.Helper()
	eventually(t, func() error {
		refresh(t, r)
		r.Spec.URIs = uris
		return plane.Client.Update(t.Context(), r)
	})
}

// passes waits for the next second, in which a new claim has another time.
func passes(t *testing.T, since v1alpha1.DateTime) {
	t.Helper()
	at, err := since.Parse()
	if err != nil {
		t.Fatal(err)
	}
	nextSecond(t, &v1alpha1.ProtectedResource{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(at)}})
}

// TestSinceWhenAURIIsClaimed follows a uri through the life of a resource. There are two managers, and one starts anew.
func TestSinceWhenAURIIsClaimed(t *testing.T) {
	b := newResourceBench(t, "pres-since")
	namespace := tenant(t, "pres-since", nil)
	startManager(t, managerConfig(t, b.Options), b.Options)
	r := album(namespace, "album", b.audience, withURIs("/b", "/a"))
	create(t, r)
	first := claims(t, r, "/a", "/b")
	passes(t, first["/a"])

	respell(t, r, "/a", "/c")
	second := claims(t, r, "/a", "/c")
	if second["/a"] != first["/a"] || second["/c"] <= first["/a"] {
		t.Errorf("it was set again, or a new one is as old: %v, then %v", first, second)
	}
	passes(t, second["/c"])
	respell(t, r, "/a", "/b", "/c")
	third := claims(t, r, "/a", "/b", "/c")
	if third["/b"] <= second["/c"] || third["/a"] != first["/a"] {
		t.Errorf("a uri that was dropped kept its age: %v, then %v", first, third)
	}

	passes(t, third["/b"])
	before := reconciled(t, protectedResources)
	startManager(t, managerConfig(t, b.Options), b.Options)
	eventually(t, func() error {
		if reconciled(t, protectedResources) == before {
			return errors.New("the new manager has not looked")
		}
		return nil
	})
	respell(t, r, "/a", "/b", "/c", "/d")
	fourth := claims(t, r, "/a", "/b", "/c", "/d")
	delete(fourth, "/d")
	if diff := cmp.Diff(third, fourth); diff != "" {
		t.Errorf("a new manager changed it (-want +got):\n%s", diff)
	}

	passes(t, third["/b"])
	if err := plane.Client.Status().Patch(t.Context(), r, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"uris":null}}`))); err != nil {
		t.Fatal(err)
	}
	for uri, since := range claims(t, r, "/a", "/b", "/c", "/d") {
		if since <= third["/b"] {
			t.Errorf("%s got an age back that nobody wrote down: %s", uri, since)
		}
	}
}

// TestAClaimThatABackupOwnsGoesWithItsURI: else the uri would come back with its age.
func TestAClaimThatABackupOwnsGoesWithItsURI(t *testing.T) {
	b := newResourceBench(t, "pres-backup")
	r := album(tenant(t, "pres-backup", nil), "album", b.audience, withURIs("/a", "/b"))
	create(t, r)
	claims(t, r, "/a", "/b")
	eventually(t, func() error {
		refresh(t, r)
		for i := range r.Status.URIs {
			r.Status.URIs[i].Since = "2020-01-01T00:00:00Z"
		}
		return plane.Client.Status().Update(t.Context(), r, client.FieldOwner("backup"))
	})
	respell(t, r, "/b")
	if got := claims(t, r, "/b"); got["/b"] != "2020-01-01T00:00:00Z" {
		t.Errorf("what stood there was changed: %v", got)
	}
}

// TestAnOldObjectTakesNoURIThatIsAddedLater is a tenant who edits a resource that is older than another's.
func TestAnOldObjectTakesNoURIThatIsAddedLater(t *testing.T) {
	b := newResourceBench(t, "pres-edited")
	evil, victims := tenant(t, "pres-evil", nil), tenant(t, "pres-victim", nil)
	old := album(evil, "old", b.audience)
	create(t, old)
	judged(t, old, evil+"/old", inForce)
	nextSecond(t, old)
	r := album(victims, "albums", b.audience, withURIs("/albums/{id}"))
	create(t, r)
	since := claims(t, r, "/albums/{id}")
	passes(t, since["/albums/{id}"])

	respell(t, old, "/albums/{x}", "/albums/7")
	judged(t, old, evil+"/old", servedInPart)
	judged(t, r, victims+"/albums", inForce)
	if ready := conditionsOf(old.Status.Conditions); ready["Ready"].Reason != v1alpha1.ReasonURITaken {
		t.Errorf("it is told %v", ready)
	}
}

// TestWhoIsNotServedClaimsNoURI: a namespace that waited to be admitted has not had its uris all the time.
func TestWhoIsNotServedClaimsNoURI(t *testing.T) {
	withStatus := aged("n", "was", 0, withURIs("/was", "/new"))
	withStatus.Status.URIs = []v1alpha1.ClaimedURI{{URI: "/was", Since: "2020-01-01T00:00:00Z"}}
	kept := slices.Clone(withStatus.Status.URIs)
	cases := map[string]struct {
		reason   string
		known    bool
		admitted bool
		want     []v1alpha1.ClaimedURI
	}{
		"no audience":  {"", false, false, kept},
		"not admitted": {"what was written down while it was stays", true, false, kept},
		"served":       {"", true, true, append([]v1alpha1.ClaimedURI{{URI: "/new", Since: v1alpha1.NewDateTime(noon)}}, kept...)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := judgeResources(metav1.NewTime(noon), []v1alpha1.ProtectedResource{withStatus}, tc.known, map[string]bool{"n": tc.admitted})
			if diff := cmp.Diff(tc.want, got[0].uris); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestANameThatClientsDoNotFindIsTold holds that it is no fault.
func TestANameThatClientsDoNotFindIsTold(t *testing.T) {
	objects := []v1alpha1.ProtectedResource{aged("a", "album", 0), aged("b", "album", 1)}
	judged := judgeResources(metav1.NewTime(noon.Add(time.Hour)), objects, true, map[string]bool{"a": true, "b": true})
	for i, want := range []string{"Servers serve the resource", "Servers serve the resource, and clients find it by its id only: "} {
		conditions := resourceConditions(judged[i])
		ready := conditions[len(conditions)-1]
		if ready.Status != metav1.ConditionTrue || !strings.HasPrefix(ready.Message, want) || strings.Contains(ready.Message, "a/album") || (i == 0) != (ready.Message == want) {
			t.Errorf("%s is told %+v", objects[i].Namespace, ready)
		}
	}
}
