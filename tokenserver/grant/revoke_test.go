package grant

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/record"
)

// TestRevoke tells who revoked what only when it is stored, and says that it is stored though nobody can tell.
func TestRevoke(t *testing.T) {
	request := &Request{ID: "r-1", Time: now, Source: netip.MustParseAddr("192.0.2.1")}
	what := &Revocation{
		Endpoint: "ident_token", By: caller.Caller{Username: "alice", Provider: "users", Method: caller.MethodToken},
		TokenID: "abcdefghijklmnopqrstuvwxyz", Audience: service, Expires: v1alpha1.NewDateTime(now.Add(time.Hour)), Reason: "a test",
	}
	line := audit.Record{
		Time: now, Outcome: audit.Revoked, RequestID: "r-1", Grant: "ident_token", TokenID: what.TokenID, Subject: "alice", Provider: "users",
		Method: "token", Audience: service, Requested: []string{}, Granted: []string{}, SourceIP: "192.0.2.1",
	}
	cases := map[string]struct {
		reason  string
		change  func(*testing.T, world, *fixture.Objects)
		err     error
		stored  int
		records []audit.Record
	}{
		"It is stored": {"the plain case", nil, nil, 1, []audit.Record{line}},
		"The API server is away": {
			"nobody may think that it is revoked", func(_ *testing.T, _ world, o *fixture.Objects) { o.Away(true) },
			record.ErrUnavailable, 0, nil,
		},
		"There are no records": {
			"nothing can be stored", func(_ *testing.T, w world, _ *fixture.Objects) { w.Records = nil }, errNoRecords, 0, nil,
		},
		"The audit log takes nothing": {
			"it is revoked all the same", func(t *testing.T, w world, _ *fixture.Objects) {
				if err := w.Audit.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
			}, nil, 1, nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w, objects := newWorld(t, &authenticator{}), fixture.NewObjects()
			w.Records = objects.Store(t)
			if tc.change != nil {
				tc.change(t, w, objects)
			}
			if err := w.Revoke(t.Context(), request, what); !errors.Is(err, tc.err) || tc.err == nil && err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
			stored := objects.Revocations()
			if len(stored) != tc.stored {
				t.Fatalf("%s: %d objects", tc.reason, len(stored))
			}
			want := v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: what.TokenID}, Expires: what.Expires, Reason: what.Reason}
			for _, object := range stored {
				if diff := cmp.Diff(want, object.Spec); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(tc.records, w.records(t)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
