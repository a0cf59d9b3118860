package grant

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

func TestWalksWaitForEachOther(t *testing.T) {
	w := NewWalks(2)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	begin := func(resources int) func() {
		t.Helper()
		end, failure := w.begin(t.Context(), resources)
		if failure != nil {
			t.Fatal(failure)
		}
		return end
	}
	first, second := begin(manyResources+1), begin(manyResources+1)
	if _, failure := w.begin(over, manyResources+1); failure == nil || failure.Kind != Unavailable || failure.RetryAfter <= 0 {
		t.Errorf("a third one at once: %v", failure)
	}
	begin(manyResources)() // who asks for few waits for nobody
	waiting := make(chan *Error)
	go func() {
		end, failure := w.begin(t.Context(), manyResources+1)
		if failure == nil {
			end()
		}
		waiting <- failure
	}()
	first()
	if failure := <-waiting; failure != nil {
		t.Errorf("who waits has its turn: %v", failure)
	}
	second()
	begin(manyResources + 1)()
}

// TestAsksForVeryManyResourcesWait has one of them decided, and sends another one, and an ask for a single resource.
func TestAsksForVeryManyResourcesWait(t *testing.T) {
	p := newProtection(t, func(i *snapshot.Input) {
		var many []*resource.Resource
		for n := range manyResources + 1 {
			many = append(many, fixture.Resource(t, service, "team-a", fmt.Sprint("r", n), "album", nil, "view"))
		}
		i.Resources = i.Resources.With(service, many)
	})
	p.Walks = NewWalks(1)
	bearer := p.token(t, token.TypeAccess, func(c *token.AccessClaims) { c.Scope = issue.ScopeUMA })
	over, cancel := context.WithCancel(t.Context())
	cancel()
	kind := func(permissions ...string) Kind {
		t.Helper()
		request := &UMARequest{ID: "r", Time: now, Audience: service, Bearer: bearer, Mode: ModePermissions}
		if permissions != nil {
			var err error
			if request.Permissions, err = permission.Parse(permissions, permission.Form{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := p.RequestingParty(over, request)
		var failure *Error
		if !errors.As(err, &failure) {
			t.Fatalf("%v", err)
		}
		return failure.Kind
	}
	end, failure := p.Walks.begin(t.Context(), manyResources+1)
	if failure != nil {
		t.Fatal(failure)
	}
	if got := kind(); got != Unavailable {
		t.Errorf("everything: %s", got)
	}
	if got := kind("team-a/r1", "#view"); got != Unavailable {
		t.Errorf("a set: %s", got)
	}
	if got := kind("team-a/r1"); got != RequestDenied {
		t.Errorf("one: %s", got)
	}
	end()
	if got := len(p.Walks.free); got != 0 {
		t.Errorf("%d are still being decided", got)
	}
}
