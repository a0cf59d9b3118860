package keyring_test

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// authorities are made one minute after the other.
type authorities map[string]*keyring.Authority

func newAuthorities(tb testing.TB) authorities {
	tb.Helper()
	out := authorities{"": nil}
	for i, name := range []string{"A", "B", "C", "D", "E", "F"} {
		out[name] = newAuthority(tb, now.Add(time.Duration(i)*time.Minute))
	}
	return out
}

// trusted reads "A B C-1h": A issues, B is next, C was replaced an hour ago.
func (a authorities) trusted(tb testing.TB, text string) []keyring.Trust {
	tb.Helper()
	var out []keyring.Trust
	for _, word := range strings.Fields(text) {
		name, ago, replaced := strings.Cut(word, "-")
		t := keyring.Trust{Certificate: a[name].Certificate.Raw}
		if replaced {
			d, err := time.ParseDuration(ago)
			if err != nil {
				tb.Fatal(err)
			}
			t.Replaced = now.Add(-d)
		}
		out = append(out, t)
	}
	return out
}

// short leaves out the zeros of a duration.
var short = strings.NewReplacer("h0m0s", "h", "m0s", "m")

// said is the opposite of trusted.
func (a authorities) said(trusted []keyring.Trust) string {
	var words []string
	for _, t := range trusted {
		for _, name := range slices.Sorted(maps.Keys(a)) {
			if name == "" || !slices.Equal(a[name].Certificate.Raw, t.Certificate) {
				continue
			}
			if !t.Replaced.IsZero() {
				name += "-" + short.Replace(now.Sub(t.Replaced).String())
			}
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}

// held reads "A B": A issues, B is next.
func (a authorities) held(text string) keyring.Held {
	current, next, _ := strings.Cut(text, " ")
	return keyring.Held{Current: a[current], Next: a[next]}
}

func TestAuthorityStep(t *testing.T) {
	a := newAuthorities(t)
	active, _ := rotated(t)
	cases := map[string]struct {
		reason          string
		trusted, held   string
		published       string
		handled         string
		rotate, confirm string
		keyID, noActive bool
		want            keyring.AuthorityStep
	}{
		"nothing is asked for":                   {trusted: "A", held: "A"},
		"a request":                              {trusted: "A", held: "A", rotate: "1", want: keyring.MakeNext},
		"a request that was answered":            {trusted: "A", held: "A", rotate: "1", handled: "1"},
		"another request":                        {trusted: "A B-1m", held: "A", rotate: "2", handled: "1", confirm: "1", want: keyring.MakeNext},
		"a request from the beginning":           {reason: "there was no authority yet", held: "A", rotate: "1"},
		"a request that is confirmed already":    {reason: "no registry can trust it", trusted: "A", held: "A", rotate: "1", confirm: "1"},
		"a request while one waits":              {reason: "one is enough", trusted: "A B", held: "A B", published: "A B", rotate: "2", handled: "1"},
		"a request whose authority nobody noted": {reason: "killed after the write", trusted: "A", held: "A B", rotate: "1"},
		"a request with KeyID":                   {trusted: "A", held: "A", rotate: "1", keyID: true},
		"a request while nothing is held":        {reason: "the Secret is lost", trusted: "A", rotate: "1"},
		"a request when ca.crt is full":          {trusted: "A B-2m C-1m D-1m", held: "A", rotate: "1"},
		"a request when ca.crt is full of lost":  {reason: "one of the four is not needed any more", trusted: "A B-2m C-1m D-2h", held: "A", rotate: "1", want: keyring.MakeNext},
		"but not while no key signs": {
			reason:  "a server may sign with a key that was lost, and its leaf is of nobody knows whom",
			trusted: "A B-2m C-1m D-2h", held: "A", rotate: "1", noActive: true,
		},
		"a request before the promotion is noted": {trusted: "A B", held: "B", rotate: "2", handled: "1"},
		"a request after the next one was lost":   {trusted: "A B", held: "A", rotate: "2", handled: "1", want: keyring.MakeNext},
		"confirmed":                               {trusted: "A B", held: "A B", published: "A B", rotate: "1", handled: "1", confirm: "1", want: keyring.PromoteNext},
		"confirmed, with KeyID":                   {trusted: "A B", held: "A B", published: "A B", rotate: "1", handled: "1", confirm: "1", keyID: true},
		"confirmed, and the request is withdrawn": {trusted: "A B", held: "A B", published: "A B", handled: "1", confirm: "1", want: keyring.PromoteNext},
		"confirmed before it is public":           {trusted: "A B", held: "A B", published: "A", rotate: "1", handled: "1", confirm: "1"},
		"confirmed before it is noted":            {trusted: "A", held: "A B", published: "A B", rotate: "1", handled: "1", confirm: "1"},
		"confirmed, but asked once more":          {trusted: "A B", held: "A B", published: "A B", rotate: "2", handled: "1", confirm: "1"},
		"an older request is confirmed":           {trusted: "A B", held: "A B", published: "A B", rotate: "2", handled: "2", confirm: "1"},
		"a request is confirmed that nobody made": {trusted: "A B", held: "A B", published: "A B", rotate: "1", handled: "1", confirm: "2"},
		"nothing is confirmed by nothing":         {trusted: "A B", held: "A B", published: "A B"},
		"confirmed once more":                     {trusted: "B A-1m", held: "B", published: "B A", rotate: "1", handled: "1", confirm: "1"},
		"another authority waits than is noted":   {trusted: "A B", held: "A C", published: "A B C", rotate: "1", handled: "1", confirm: "1"},
		"confirmed, but the next one is lost":     {trusted: "A B", held: "A", published: "A B", rotate: "1", handled: "1", confirm: "1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := params(v1alpha1.RotationAutomatic)
			p.RotateCA, p.ConfirmCA = c.rotate, c.confirm
			if c.keyID {
				p.Identification = v1alpha1.KeyID
			}
			ring := keyring.Ring{Keys: active.Keys, LastHandledRotateCA: c.handled, Authorities: a.trusted(t, c.trusted)}
			if c.noActive {
				ring.Keys = nil
			}
			var published [][]byte
			for _, trusted := range a.trusted(t, c.published) {
				published = append(published, trusted.Certificate)
			}
			if diff := cmp.Diff(c.want, p.AuthorityStep(now, ring, a.held(c.held), published)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRevise(t *testing.T) {
	a := newAuthorities(t)
	active, _ := rotated(t)
	cases := map[string]struct {
		reason          string
		trusted, held   string
		handled         string
		rotate, confirm string
		noActive        bool
		want            string
		wantHandled     string
		unchanged       bool
	}{
		"nothing happened":                  {trusted: "A", held: "A", want: "A", unchanged: true},
		"the first":                         {held: "A", want: "A"},
		"the first, though one is asked":    {reason: "it was asked for from the beginning", held: "A", rotate: "1", want: "A", wantHandled: "1"},
		"one that somebody gave, with next": {held: "A B", rotate: "1", want: "A B", wantHandled: "1"},
		"a next was made":                   {trusted: "A", held: "A B", rotate: "1", want: "A B", wantHandled: "1"},
		"a next, and nobody asks any more": {
			reason:  "the confirmation is that of an earlier one",
			trusted: "A", held: "A B", handled: "0", rotate: "0", confirm: "0", want: "A B",
		},
		"a next, and it is confirmed ahead":                          {trusted: "A", held: "A B", handled: "0", rotate: "1", confirm: "1", want: "A B"},
		"a next that nobody asks for":                                {trusted: "A B", held: "A B", rotate: "1", confirm: "1", want: "A B", unchanged: true},
		"one that somebody gave, with next, all confirmed":           {held: "A B", rotate: "1", confirm: "1", want: "A B"},
		"asked again while one waits":                                {trusted: "A B", held: "A B", handled: "1", rotate: "2", want: "A B", wantHandled: "2"},
		"asked again, and confirmed ahead":                           {trusted: "A B", held: "A B", handled: "1", rotate: "2", confirm: "2", want: "A B", wantHandled: "1", unchanged: true},
		"the next was promoted":                                      {trusted: "A B", held: "B", handled: "1", want: "B A-0s", wantHandled: "1"},
		"the next was promoted, once more":                           {trusted: "B C D-1m", held: "C", want: "C B-0s D-1m"},
		"the next was lost":                                          {reason: "its Secret may come back", trusted: "A B C-1m", held: "A", want: "A B C-1m", unchanged: true},
		"the next was lost and replaced":                             {trusted: "A B C-1m", held: "A D", rotate: "2", want: "A D B-0s C-1m", wantHandled: "2"},
		"the last token is about to die":                             {trusted: "A B-1h16m59s", held: "A", want: "A B-1h16m59s", unchanged: true},
		"the last token is dead":                                     {trusted: "A B-1h17m", held: "A", want: "A"},
		"the last token is dead, and nothing is known of the Secret": {trusted: "A B-1h17m", want: "A"},
		"no key signs": {
			reason:  "servers may still sign with one that was lost: time runs from when another does",
			trusted: "A B-1h17m", held: "A", noActive: true, want: "A B-0s", unchanged: true,
		},
		"a next that is one too many": {trusted: "A B-1m C-2m D-3m", held: "A E", rotate: "1", want: "A B-1m C-2m D-3m", unchanged: true},
		"a next that has a place":     {trusted: "A B-1m C-2m D-3h", held: "A E", rotate: "1", want: "A E B-1m C-2m", wantHandled: "1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := params(v1alpha1.RotationAutomatic)
			p.RotateCA, p.ConfirmCA = c.rotate, c.confirm
			ring := keyring.Ring{Keys: active.Keys, LastHandledRotateCA: c.handled, Authorities: a.trusted(t, c.trusted)}
			if c.noActive {
				ring.Keys = nil
			}
			got, changed := p.Revise(now, ring, a.held(c.held))
			if diff := cmp.Diff([]string{c.want, c.wantHandled}, []string{a.said(got.Authorities), got.LastHandledRotateCA}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if changed == c.unchanged {
				t.Errorf("%s: changed is %t", c.reason, changed)
			}
			if diff := cmp.Diff(c.trusted, a.said(ring.Authorities)); diff != "" {
				t.Errorf("the ring that was given (-before +after):\n%s", diff)
			}
			again, changed := p.Revise(now, got, a.held(c.held))
			if diff := cmp.Diff(got, again, sameKeys, samePublic); diff != "" || changed && len(got.Authorities) > 0 && c.confirm == "" {
				t.Errorf("once more, changed %t (-before +after):\n%s", changed, diff)
			}
		})
	}
}

func TestOlderSecretsOfTheAuthorityAreRefused(t *testing.T) {
	a := newAuthorities(t)
	cases := map[string]struct{ trusted, held, current, next string }{
		"the first":                  {held: "A"},
		"as it is":                   {trusted: "A B", held: "A B"},
		"promoted":                   {trusted: "A B", held: "B"},
		"before the request":         {trusted: "A B", held: "A"},
		"of somebody else":           {trusted: "A B", held: "C", current: "another certificate authority"},
		"from before the promotion":  {trusted: "B A-1m", held: "A", current: "an older Secret was restored"},
		"from before, with the next": {trusted: "B A-1m", held: "A B", current: "an older Secret was restored"},
		"from before what was lost":  {trusted: "A C B-1m", held: "A B", next: "remove its entries next.crt and next.key"},
		"from before it left ca.crt": {trusted: "C", held: "A", current: "another certificate authority"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ring := keyring.Ring{Authorities: a.trusted(t, c.trusted)}
			for _, check := range []struct {
				what, want string
				err        error
			}{{"the one that issues", c.current, keyring.CheckHeld(ring, a.held(c.held))}, {"the next", c.next, keyring.CheckNext(ring, a.held(c.held))}} {
				if (check.want == "") != (check.err == nil) || check.err != nil && !strings.Contains(check.err.Error(), check.want) {
					t.Errorf("%s: got %v, want %q", check.what, check.err, check.want)
				}
			}
		})
	}
}

func TestRecoverTrust(t *testing.T) {
	a := newAuthorities(t)
	for published, want := range map[string]string{
		"":          "",
		"A":         "A",
		"A B":       "A B",
		"B A":       "B A-0s",
		"B C A":     "B C A-0s",
		"C B A":     "C B-0s A-0s",
		"A B C D E": "A B C-0s D-0s",
	} {
		t.Run(published, func(t *testing.T) {
			ring := keyring.Ring{Authorities: a.trusted(t, published)}
			got := keyring.RecoverTrust(keyring.ParseAuthorities(ring.AuthoritiesPEM()), now)
			if diff := cmp.Diff(want, a.said(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The key that signs has a leaf of the authority that issues, in every mode and however long its old leaf would last.
func TestActiveKeyIsCertifiedAnewWhenTheAuthorityChanges(t *testing.T) {
	for _, mode := range []v1alpha1.RotationMode{v1alpha1.RotationAutomatic, v1alpha1.RotationManual, v1alpha1.RotationNever} {
		t.Run(string(mode), func(t *testing.T) {
			p := params(mode)
			a, b := newAuthority(t, now), newAuthority(t, now)
			ring := settle(t, keyring.Ring{}, now, p, a)
			before := activeOf(t, ring)
			facts := keyring.Facts{AuthorityUntil: b.Until(), Authority: b.ID()}
			plan := keyring.Plan(now, p, ring, facts)
			next, err := keyring.Execute(ring, plan, now, p, rand.Reader, b)
			if err != nil {
				t.Fatal(err)
			}
			after := activeOf(t, next)
			if diff := cmp.Diff([]string{before.Thumbprint, b.ID()}, []string{after.Thumbprint, after.CertifiedBy}); diff != "" {
				t.Errorf("key and authority (-want +got):\n%s", diff)
			}
			if plan := keyring.Plan(now, p, next, facts); len(plan) > 0 {
				t.Errorf("and once more: %v", plan)
			}
			if plan := keyring.Plan(now, p, next, keyring.Facts{}); len(plan) > 0 {
				t.Errorf("where the authority is not known: %v", plan)
			}
		})
	}
}

func TestLongestTokenHoldsAnAuthority(t *testing.T) {
	a := newAuthorities(t)
	ring, _ := rotated(t)
	ring.Authorities = a.trusted(t, "A B-1h")
	p := params(v1alpha1.RotationAutomatic)
	end := p.TrustEnd(ring, ring.Authorities[1])
	if diff := cmp.Diff(now.Add(17*time.Minute), end); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(end, p.Wake(now, ring)); diff != "" {
		t.Errorf("when to look again (-want +got):\n%s", diff)
	}
	ring.Keys[1].TokenLifetime = 24 * time.Hour
	if diff := cmp.Diff(end.Add(24*time.Hour-15*time.Minute), p.TrustEnd(ring, ring.Authorities[1])); diff != "" {
		t.Errorf("once a key was allowed more (-want +got):\n%s", diff)
	}
	if got := p.TrustEnd(ring, ring.Authorities[0]); !got.IsZero() {
		t.Errorf("the authority that issues ends at %s", got)
	}
}
