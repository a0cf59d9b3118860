package registration_test

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
)

func TestCreate(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  func(int) (bool, error)
		change func(*v1alpha1.ProtectedResource)
		want   error
		there  bool
	}{
		"At once":                    {"", nil, nil, nil, true},
		"The answer was lost":        {"the second try finds what the first has stored", lost, nil, nil, true},
		"The API server is away":     {"nothing is stored, and nobody may be told so", away, nil, attempt.ErrUnavailable, false},
		"The schema refuses it":      {"a later try would find the same", nil, func(o *v1alpha1.ProtectedResource) { o.Spec.Type = "repository" }, attempt.ErrRefused, false},
		"There is no such namespace": {"", nil, func(o *v1alpha1.ProtectedResource) { o.Namespace = "nowhere" }, attempt.ErrRefused, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, _ := store(t, tc.fault)
			o := object("create-" + registration.ResourceName(audience, "", name))
			if tc.change != nil {
				tc.change(o)
			}
			if _, err := s.Create(brief(t), o); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			if _, there := stored(t, o.Name, &v1alpha1.ProtectedResource{}); there != tc.there {
				t.Errorf("%s: stored: %v", tc.reason, there)
			}
		})
	}
	created(t, "create-twice")
	s, _ := store(t, nil)
	other := object("create-twice")
	other.Spec.Scopes = []v1alpha1.ResourceScope{"view"}
	if _, err := s.Create(t.Context(), other); !errors.Is(err, registration.ErrTaken) {
		t.Errorf("another by the name: %v", err)
	}
}

func TestUpdate(t *testing.T) {
	narrow := func(o *v1alpha1.ProtectedResource) error {
		o.Spec.Scopes = []v1alpha1.ResourceScope{"view"}
		return nil
	}
	errNo := errors.New("no")
	cases := map[string]struct {
		reason string
		fault  func(int) (bool, error)
		change func(*v1alpha1.ProtectedResource) error
		target func(*registration.Target)
		want   error
		scopes int
	}{
		"At once":                {"", nil, narrow, nil, nil, 1},
		"The answer was lost":    {"", lost, narrow, nil, nil, 1},
		"The API server is away": {"", away, narrow, nil, attempt.ErrUnavailable, 2},
		"It is refused":          {"an error of the change is the error", nil, func(*v1alpha1.ProtectedResource) error { return errNo }, nil, errNo, 2},
		"Another of the name":    {"the uid says which is meant", nil, narrow, func(g *registration.Target) { g.UID = "another" }, registration.ErrNotFound, 2},
		"Of another audience":    {"", nil, narrow, func(g *registration.Target) { g.UID, g.Audience = "", "https://other.example.com" }, registration.ErrNotFound, 2},
		"By its name alone":      {"this server has not seen it", nil, narrow, func(g *registration.Target) { g.UID = "" }, nil, 1},
		"The schema refuses it": {"", nil, func(o *v1alpha1.ProtectedResource) error {
			o.Spec.ID = "late" // ids never change
			return nil
		}, nil, attempt.ErrRefused, 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := created(t, "update-"+registration.ResourceName(audience, "", name))
			s, _ := store(t, tc.fault)
			to := target(r)
			if tc.target != nil {
				tc.target(&to)
			}
			if _, err := s.Update(brief(t), to, tc.change); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			if o, _ := stored(t, r.Object, &v1alpha1.ProtectedResource{}); len(o.Spec.Scopes) != tc.scopes {
				t.Errorf("%s: stored: %v", tc.reason, o.Spec.Scopes)
			}
		})
	}
}

// TestAnUpdateLosesNothing lets somebody else write between the read and the write.
func TestAnUpdateLosesNothing(t *testing.T) {
	r := created(t, "update-between")
	s, _ := store(t, nil)
	times := 0
	_, err := s.Update(t.Context(), target(r), func(o *v1alpha1.ProtectedResource) error {
		if times++; times == 1 {
			label := o.DeepCopy()
			label.Labels = map[string]string{"team": "red"}
			if err := plane.Client.Update(t.Context(), label, client.FieldOwner("a-label")); err != nil {
				t.Fatal(err)
			}
		}
		o.Spec.Scopes = []v1alpha1.ResourceScope{"view"}
		return nil
	})
	o, _ := stored(t, r.Object, &v1alpha1.ProtectedResource{})
	if err != nil || times != 2 || o.Labels["team"] != "red" || len(o.Spec.Scopes) != 1 {
		t.Errorf("%v after %d times: %v %v", err, times, o.Labels, o.Spec.Scopes)
	}
	// Whoever writes the spec owns it from then on.
	o.Spec.Scopes = []v1alpha1.ResourceScope{"edit"}
	if err := plane.Client.Update(t.Context(), o, client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
	var owned *registration.Owned
	_, err = s.Update(t.Context(), target(r), func(*v1alpha1.ProtectedResource) error { return nil })
	if !errors.As(err, &owned) || owned.Manager != "kubectl-edit" {
		t.Errorf("update: %v", err)
	}
	if _, err := s.Delete(t.Context(), target(r), nil); !errors.Is(err, registration.ErrOwned) {
		t.Errorf("delete: %v", err)
	}
}

func TestDelete(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  func(int) (bool, error)
		uid    string
		want   error
		there  bool
	}{
		"At once":                {"", nil, "", nil, false},
		"The answer was lost":    {"that it is gone is what was wanted", lost, "", nil, false},
		"The API server is away": {"", away, "", attempt.ErrUnavailable, true},
		"Another of the name":    {"", nil, "another", registration.ErrNotFound, true},
		"It changed in the meantime": {"the next try goes by what is there now", func(n int) (bool, error) {
			if n == 0 {
				return false, apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("protectedresources").GroupResource(), "x", errors.New("changed"))
			}
			return true, nil
		}, "", nil, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := created(t, "delete-"+registration.ResourceName(audience, "", name))
			s, _ := store(t, tc.fault)
			to := target(r)
			if tc.uid != "" {
				to.UID = tc.uid
			}
			if _, err := s.Delete(brief(t), to, nil); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			if _, there := stored(t, r.Object, &v1alpha1.ProtectedResource{}); there != tc.there {
				t.Errorf("%s: there: %v", tc.reason, there)
			}
		})
	}
}
