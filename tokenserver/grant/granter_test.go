package grant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const service = "registry.example.com"

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// authenticator returns what it is told, and keeps what it was asked.
type authenticator struct {
	who   caller.Caller
	err   error
	asked int
	from  netip.Addr
	// during runs while a caller is proved.
	during func()
}

func (a *authenticator) Authenticate(_ context.Context, _ *snapshot.Snapshot, c identity.Credentials, _ time.Time) (caller.Caller, error) {
	a.asked++
	a.from = c.Source
	if a.during != nil {
		a.during()
	}
	return a.who, a.err
}

// world is a Granter over a snapshot, and what reads its audit log.
type world struct {
	*Granter
	sink *bytes.Buffer
}

func newWorld(t *testing.T, a *authenticator) world {
	t.Helper()
	w := world{sink: &bytes.Buffer{}}
	log := audit.New(w.sink)
	t.Cleanup(func() { log.Close(context.Background()) })
	m := metrics.New("test", func() metrics.State { return metrics.State{} }, time.Now)
	holder := &snapshot.Holder{}
	holder.Store(snapshot.Build(snapshot.Input{At: now, Keys: []snapshot.Keys{
		fixture.Key(t, "registry", v1alpha1.KeyID, now, service), fixture.Broken("broken", "broken.example.com"),
	}}))
	w.Granter = &Granter{
		Snapshots: holder, Authenticator: a, Audit: log, Metrics: m, Log: logr.Discard(),
		Issuer: &issue.Issuer{Name: "https://auth.example.com", Audit: log, Metrics: m, Random: rand.Reader},
	}
	return w
}

// records closes the audit log and returns its records.
func (w world) records(t *testing.T) []audit.Record {
	t.Helper()
	if err := w.Audit.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var records []audit.Record
	for line := range bytes.Lines(w.sink.Bytes()) {
		var record audit.Record
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

func TestRefusals(t *testing.T) {
	wrong := errors.New("the Secret says otherwise")
	present := identity.Credentials{Username: "alice", Password: "secret", Present: true}
	type want struct {
		Kind  Kind
		Retry bool
		Asked int
	}
	cases := map[string]struct {
		reason        string
		by            Grant
		authenticator authenticator
		request       Request
		want          want
	}{
		"No service": {
			reason: "nothing is done for a request that cannot succeed",
			by:     Docker{}, request: Request{Credentials: present}, want: want{Kind: InvalidRequest},
		},
		"No service by POST": {
			reason: "nothing is done for a request that cannot succeed",
			by:     Password{}, request: Request{Credentials: present}, want: want{Kind: InvalidRequest},
		},
		"The password grant without credentials": {
			reason: "whoever chose this grant is not anonymous",
			by:     Password{}, request: Request{Audience: service}, want: want{Kind: InvalidRequest},
		},
		"Wrong credentials": {
			reason: "docker login must learn that the password is wrong, although it asks for nothing",
			by:     Docker{}, authenticator: authenticator{err: errors.Join(identity.ErrBadCredentials, wrong)},
			request: Request{Audience: service, Credentials: present}, want: want{Kind: BadCredentials, Asked: 1},
		},
		"Wrong credentials for an unknown service": {
			reason: "a wrong password is 401, whatever else is wrong",
			by:     Docker{}, authenticator: authenticator{err: identity.ErrBadCredentials},
			request: Request{Audience: "other", Credentials: present}, want: want{Kind: BadCredentials, Asked: 1},
		},
		"Credentials that nobody can verify now": {
			reason: "this is not the caller's fault, and must not look like it",
			by:     Docker{}, authenticator: authenticator{err: identity.ErrUnavailable},
			request: Request{Audience: service, Credentials: present}, want: want{Kind: Unavailable, Retry: true, Asked: 1},
		},
		"Too many wrong credentials before": {
			reason: "these were not looked at, so that nothing is said of them",
			by:     Docker{}, authenticator: authenticator{err: fmt.Errorf("%w", &identity.Limited{RetryAfter: time.Second})},
			request: Request{Audience: service, Credentials: present}, want: want{Kind: TooManyRequests, Retry: true, Asked: 1},
		},
		"An authenticator with an error of its own": {
			reason: "what is not known to be the caller's fault is not blamed on it, and lets nobody in",
			by:     Docker{}, authenticator: authenticator{who: caller.Caller{Username: "alice"}, err: wrong},
			request: Request{Audience: service, Credentials: present}, want: want{Kind: Unavailable, Retry: true, Asked: 1},
		},
		"A user name that is not UTF-8": {
			reason: "in JSON it would become another name, perhaps somebody's",
			by:     Docker{}, authenticator: authenticator{who: caller.Caller{Username: "ali\xffce"}},
			request: Request{Audience: service, Credentials: identity.Credentials{Username: "ali\xffce", Present: true}},
			want:    want{Kind: BadCredentials},
		},
		"A user name with a NUL": {
			reason: "what is behind it may read it as another name",
			by:     Password{}, request: Request{Audience: service, Credentials: identity.Credentials{Username: "alice\x00", Password: "x", Present: true}},
			want: want{Kind: BadCredentials},
		},
		"An unknown service": {
			reason: "of the services, nobody holds it",
			by:     Docker{}, authenticator: authenticator{who: caller.Anonymous()},
			request: Request{Audience: "other"}, want: want{Kind: UnknownAudience, Asked: 1},
		},
		"A service in another letter case": {
			reason: "audiences are compared as they are: registries do so too",
			by:     Docker{}, authenticator: authenticator{who: caller.Anonymous()},
			request: Request{Audience: "Registry.example.com"}, want: want{Kind: UnknownAudience, Asked: 1},
		},
		"A service without a key": {
			reason: "a controller will bring one",
			by:     Docker{}, authenticator: authenticator{who: caller.Anonymous()},
			request: Request{Audience: "broken.example.com"}, want: want{Kind: Unavailable, Retry: true, Asked: 1},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &tc.authenticator)
			tc.request.Time, tc.request.ID = now, "r1"
			issued, err := w.Grant(context.Background(), tc.by, &tc.request)
			var failure *Error
			if !errors.As(err, &failure) || issued.Text != "" {
				t.Fatalf("%s: token %q, error %v", tc.reason, issued.Text, err)
			}
			if diff := cmp.Diff(tc.want, want{failure.Kind, failure.RetryAfter > 0, tc.authenticator.asked}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			records := w.records(t)
			if len(records) != 1 || records[0].Outcome != audit.Refused || records[0].Error != string(tc.want.Kind) || records[0].RequestID != "r1" {
				t.Errorf("records = %+v", records)
			}
		})
	}
}

// TestFailuresAreCountedForTheSource holds that no grant and no endpoint can forget to say where credentials came from, and
// that what a client sends cannot say so.
func TestFailuresAreCountedForTheSource(t *testing.T) {
	a := &authenticator{err: &identity.Limited{RetryAfter: time.Second}}
	w := newWorld(t, a)
	source := netip.MustParseAddr("192.0.2.7")
	request := &Request{
		Audience: service, Time: now, Source: source,
		Credentials: identity.Credentials{Username: "alice", Present: true, Source: netip.MustParseAddr("10.0.0.1")},
	}
	if _, err := w.Grant(context.Background(), Docker{}, request); err == nil || a.from != source {
		t.Errorf("the source was %v, the error %v", a.from, err)
	}
}

func TestAMessageHoldsNoCause(t *testing.T) {
	w := newWorld(t, &authenticator{who: caller.Anonymous()})
	_, err := w.Grant(context.Background(), Docker{}, &Request{Audience: "broken.example.com", Time: now})
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	const cause = "tokenwright-system/broken-key"
	if bytes.Contains([]byte(failure.Message), []byte(cause)) || !bytes.Contains([]byte(failure.Error()), []byte(cause)) {
		t.Errorf("message = %q, error = %q", failure.Message, failure.Error())
	}
}

func TestWhatNobodyProvedIsRecordedAndNoMore(t *testing.T) {
	w := newWorld(t, &authenticator{who: caller.Anonymous()})
	_, err := w.Grant(context.Background(), Docker{}, &Request{Audience: service, ClientID: "admin", Account: "alice\nbob", Time: now})
	if err != nil {
		t.Fatal(err)
	}
	records := w.records(t)
	if len(records) != 1 {
		t.Fatalf("records = %+v", records)
	}
	got := [...]string{records[0].Outcome, records[0].Grant, records[0].Subject, records[0].ClientID, records[0].Account}
	want := [...]string{audit.Issued, "anonymous", caller.AnonymousUser, "admin", "alice\uFFFDbob"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestOneSnapshotIsUsedToTheEnd(t *testing.T) {
	a := &authenticator{who: caller.Anonymous()}
	w := newWorld(t, a)
	a.during = func() { w.Snapshots.Store(snapshot.Build(snapshot.Input{})) }
	if _, err := w.Grant(context.Background(), Docker{}, &Request{Audience: service, Time: now}); err != nil {
		t.Errorf("what changed while the caller was proved counted: %v", err)
	}
}
