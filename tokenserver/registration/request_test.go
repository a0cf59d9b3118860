package registration_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
)

var _ permission.Requests = &registration.Store{}

func TestSubmit(t *testing.T) {
	cases := map[string]struct {
		reason    string
		fault     func(int) (bool, error)
		requester string
		before    v1alpha1.RequestState
		want      error
		there     bool
	}{
		"At once":                 {"", nil, "bob", "", nil, true},
		"The answer was lost":     {"", lost, "bob", "", nil, true},
		"The API server is away":  {"nobody was asked", away, "bob", "", attempt.ErrUnavailable, false},
		"Asked already":           {"", nil, "bob", v1alpha1.RequestPending, nil, true},
		"Approved already":        {"a later try will find it", nil, "bob", v1alpha1.RequestApproved, nil, true},
		"Denied already":          {"the owner has said no", nil, "bob", v1alpha1.RequestDenied, permission.ErrNotTaken, true},
		"A name that is too long": {"the schema refuses it, now and later", nil, strings.Repeat("b", 257), "", permission.ErrNotTaken, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := created(t, "submit-"+registration.ResourceName(audience, "", name))
			if tc.before != "" {
				s, _ := store(t, nil)
				request, err := s.Ask(t.Context(), tc.requester, r, []string{"view"})
				if err != nil {
					t.Fatal(err)
				}
				if tc.before != v1alpha1.RequestPending {
					if err := s.Decide(t.Context(), request, registration.Decision{State: tc.before, By: "alice", At: time.Now()}); err != nil {
						t.Fatal(err)
					}
				}
			}
			s, _ := store(t, tc.fault)
			if err := s.Submit(brief(t), tc.requester, r, []string{"view"}); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			at := registration.RequestName(r.UID, tc.requester, []v1alpha1.ResourceScope{"view"})
			if _, there := stored(t, at, &v1alpha1.PermissionRequest{}); there != tc.there {
				t.Errorf("%s: stored: %v", tc.reason, there)
			}
		})
	}
}

// TestAnotherOwnerIsAskedAnew: what a former owner was asked, or has approved, is nothing to the next.
func TestAnotherOwnerIsAskedAnew(t *testing.T) {
	r := created(t, "owners")
	s, _ := store(t, nil)
	before, err := s.Ask(t.Context(), "bob", r, []string{"view"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(t.Context(), before, registration.Decision{State: v1alpha1.RequestApproved, By: "alice", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	next := *r
	next.Owner = "carol"
	if err := s.Submit(t.Context(), "bob", &next, []string{"view"}); err != nil {
		t.Fatal(err)
	}
	now, _ := stored(t, before.Name, &v1alpha1.PermissionRequest{})
	if now.Spec.Owner != "carol" || now.UID == before.UID || !registration.Undecided(now) {
		t.Errorf("stored: %+v", now)
	}
	// And a decision about the one before does not become one about this.
	if err := s.Decide(t.Context(), before, registration.Decision{State: v1alpha1.RequestApproved, By: "alice", At: time.Now()}); !errors.Is(err, registration.ErrNotFound) {
		t.Errorf("decide: %v", err)
	}
	if err := s.Withdraw(t.Context(), before); !errors.Is(err, registration.ErrNotFound) {
		t.Errorf("withdraw: %v", err)
	}
}

func TestADecisionThatIsNotStoredIsNone(t *testing.T) {
	r := created(t, "undecided")
	s, _ := store(t, nil)
	request, err := s.Ask(t.Context(), "bob", r, []string{"view"})
	if err != nil {
		t.Fatal(err)
	}
	approve := registration.Decision{State: v1alpha1.RequestApproved, By: "alice", At: time.Now()}
	s, _ = store(t, away)
	if err := s.Decide(brief(t), request, approve); !errors.Is(err, attempt.ErrUnavailable) {
		t.Errorf("away: %v", err)
	}
	if now, _ := stored(t, request.Name, &v1alpha1.PermissionRequest{}); !registration.Undecided(now) {
		t.Errorf("state = %s", now.Status.State)
	}
	s, _ = store(t, lost)
	if err := s.Decide(t.Context(), request, approve); err != nil {
		t.Errorf("a lost answer: %v", err)
	}
	if now, _ := stored(t, request.Name, &v1alpha1.PermissionRequest{}); now.Status.State != v1alpha1.RequestApproved || now.Status.DecidedBy != "alice" {
		t.Errorf("status = %+v", now.Status)
	}
}

// TestRequestsAreBounded fills what a server has observed.
func TestRequestsAreBounded(t *testing.T) {
	r := created(t, "bounded")
	fill := func(index *registration.Index, requester func(int) string, uid string, state v1alpha1.RequestState, many int) {
		for n := range many {
			request := &v1alpha1.PermissionRequest{}
			request.Namespace, request.Name = namespace, requester(n)+uid+string(state)+string(rune('a'+n/26))+string(rune('a'+n%26))
			request.Spec.Requester, request.Spec.Resource.UID, request.Status.State = requester(n), uid, state
			index.PutRequest(types.NamespacedName{Namespace: namespace, Name: request.Name}, request)
		}
	}
	bob := func(int) string { return "bob" }
	somebody := func(n int) string { return "user" + string(rune('a'+n%26)) }
	cases := map[string]struct {
		reason      string
		fill        func(*registration.Index)
		want, offer error
	}{
		"49 of the user":             {"one more is the 50th", func(x *registration.Index) { fill(x, bob, "other", "", 49) }, nil, nil},
		"50 of the user":             {"an offer is decided", func(x *registration.Index) { fill(x, bob, "other", v1alpha1.RequestPending, 50) }, permission.ErrNotTaken, nil},
		"2 of the user about it":     {"", func(x *registration.Index) { fill(x, bob, r.UID, "", 2) }, nil, nil},
		"3 of the user about it":     {"", func(x *registration.Index) { fill(x, bob, r.UID, "", 3) }, permission.ErrNotTaken, nil},
		"3 of others about it":       {"", func(x *registration.Index) { fill(x, somebody, r.UID, "", 3) }, nil, nil},
		"999 approved about it":      {"", func(x *registration.Index) { fill(x, somebody, r.UID, v1alpha1.RequestApproved, 999) }, nil, nil},
		"1000 approved about it":     {"they stay", func(x *registration.Index) { fill(x, somebody, r.UID, v1alpha1.RequestApproved, 1000) }, permission.ErrNotTaken, permission.ErrNotTaken},
		"10000 in the namespace":     {"", func(x *registration.Index) { fill(x, somebody, "other", v1alpha1.RequestApproved, 10_000) }, permission.ErrNotTaken, permission.ErrNotTaken},
		"Those that were decided":    {"nobody has to decide them any more", func(x *registration.Index) { fill(x, bob, "other", v1alpha1.RequestDenied, 90) }, nil, nil},
		"200 about the resource":     {"", func(x *registration.Index) { fill(x, somebody, r.UID, "", 200) }, permission.ErrNotTaken, nil},
		"200 about another resource": {"", func(x *registration.Index) { fill(x, somebody, "other", "", 200) }, nil, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, index := store(t, nil)
			tc.fill(index)
			if err := s.Submit(t.Context(), "bob", r, []string{"view"}); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			if _, err := s.Offer(t.Context(), "bob", r, []string{"edit"}); !errors.Is(err, tc.offer) {
				t.Errorf("an offer: %s: got %v, want %v", tc.reason, err, tc.offer)
			}
		})
	}
	unmanaged := *r
	unmanaged.OwnerManaged = false
	s, _ := store(t, nil)
	if err := s.Submit(t.Context(), "bob", &unmanaged, []string{"view"}); !errors.Is(err, permission.ErrNotTaken) {
		t.Errorf("a resource that nobody manages: %v", err)
	}
}

func TestTheIndexForgets(t *testing.T) {
	index := &registration.Index{}
	put := func(name, requester string) {
		request := &v1alpha1.PermissionRequest{}
		request.Namespace, request.Name = namespace, name
		request.Spec.Requester, request.Spec.Owner, request.Spec.Audience = requester, "alice", audience
		index.PutRequest(types.NamespacedName{Namespace: namespace, Name: name}, request)
	}
	put("one", "bob")
	put("two", "alice") // who asks for the own is found once
	put("one", "carol")
	if got := len(index.OfUser("bob")); got != 0 {
		t.Errorf("bob has %d", got)
	}
	if got := len(index.OfUser("alice")); got != 2 {
		t.Errorf("alice has %d", got)
	}
	if got := index.OfAudience(audience); len(got) != 2 || got[0].Name != "one" {
		t.Errorf("the audience has %v", got)
	}
	index.PutRequest(types.NamespacedName{Namespace: namespace, Name: "one"}, nil)
	if index.Get(namespace, "one") != nil || len(index.OfAudience(audience)) != 1 || len(index.OfUser("carol")) != 0 {
		t.Error("it is still there")
	}
}
